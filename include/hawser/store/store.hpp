// SPDX-License-Identifier: BSL-1.0
/// \file
/// The concept of a store: where a session keeps what must outlive a link or a process.
///
/// A store holds *streams*. A stream is the session of one socket: the dialling socket's has the
/// name `client_stream`, an accepted one `session_stream(epoch)`. One store object (a copyable
/// handle) serves one dialling socket, or one listener with all of its sessions, or both.
///
/// | call | effect | completes |
/// |---|---|---|
/// | `open(driver, client, name)` | the stream of one socket; nothing is read or written yet | at once |
/// | `load(fresh)` | reads the stream, makes it with origin `fresh` if it is new, raises its boot counter; all durable | later: `on_loaded` |
/// | `commit(records)` | makes records durable, all or none; a new stream begins with its first record | later: `on_committed` |
/// | `open_catalog(driver, client)` | the streams of a listener | at once |
/// | `list()` | what is known of all `session_stream`s | later: `on_listed` |
/// | `erase(name)` | the stream goes, in order with all other calls | nobody is told; what stays behind is listed again |
/// | destroying what `open` gave | withdraws what has not begun; an effect that runs may go on | - |
///
/// An operation never completes inside the call that starts it, also in memory, so that the
/// same code is right for a disk. One `load` comes first, or none (a stream that is known to be new);
/// one `commit` is under way at a time. A stream is open once: `load` and `commit` of another handle fail with `locked`.
#pragma once

#include <hawser/core/store_transaction.hpp>
#include <hawser/driver/driver.hpp>
#include <hawser/protocol/session/journal.hpp>
#include <hawser/protocol/session/stored_session.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace hawser::inline v0 {

/// The stream of a dialling socket.
inline constexpr std::string_view client_stream = "client";
/// What the names of a listener's streams begin with.
inline constexpr std::string_view session_stream_prefix = "session/";

/// The stream of an accepted session.
[[nodiscard]] inline std::string session_stream(const session::epoch_id& epoch) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string name(session_stream_prefix);
    for (const std::byte b : epoch) {
        name += digits[std::to_integer<unsigned>(b) >> 4];
        name += digits[std::to_integer<unsigned>(b) & 15];
    }
    return name;
}

/// Told on the driver's strand, inside a turn. Errors: `errc::locked`, `errc::store_corrupt`,
/// `errc::store_full`, `errc::store_version`, `errc::queue_full` are told to the application as they are, all others as
/// `errc::store_failed`. The client may destroy the store inside of each call.
class store_client {
public:
    /// `load` is done. With an error the image is not looked at.
    virtual void on_loaded(std::error_code ec, store_image image) = 0;
    /// `commit` is done. After an error nothing of it is durable, and the client commits nothing more.
    virtual void on_committed(std::error_code ec) = 0;

protected:
    ~store_client() = default;
};

/// A stream as one socket uses it. Used on the strand, inside a turn.
class opened_store {
public:
    virtual ~opened_store() = default;
    /// Reads the stream; the client is told later.
    virtual void load(const session::origin_id& fresh) = 0;
    /// Makes the records durable, all or none, with the effects that they carry; the client is told later.
    /// An `accepted` record is refused, and the commit with it, unless its epoch is the stream's, alive, and the
    /// stored position is its `from`.
    virtual void commit(std::vector<session::record> records) = 0;
};

/// Told on the driver's strand, inside a turn.
class catalog_client {
public:
    /// `list` is done.
    virtual void on_listed(std::error_code ec, std::vector<stored_session> sessions) = 0;

protected:
    ~catalog_client() = default;
};

/// The streams of a listener. Used on the strand, inside a turn.
class store_catalog {
public:
    virtual ~store_catalog() = default;
    /// Asks for all streams whose names begin with `session_stream_prefix`; the client is told later.
    virtual void list() = 0;
    /// Removes a stream that is not open, later. Goes on when the catalog is destroyed.
    virtual void erase(std::string name) = 0;
};

/// `durable`: it survives the process. `keeps_records`: it wants the records themselves and
/// not only the order of commits. `transaction`: what effects get; derived from `store_transaction`.
template <class S>
concept message_store = std::copyable<S> && std::derived_from<typename S::transaction, store_transaction> &&
    requires(S& s, driver& d, store_client& c, catalog_client& l, std::string_view name) {
        { S::durable } -> std::convertible_to<bool>;
        { S::keeps_records } -> std::convertible_to<bool>;
        { s.open(d, c, name) } -> std::same_as<std::unique_ptr<opened_store>>;
        { s.open_catalog(d, l) } -> std::same_as<std::unique_ptr<store_catalog>>;
    };

/// A store that has nothing to do for a commit may say so, with a member of this name: then it is not asked, and
/// nobody waits until the end of the turn.
template <class S>
inline constexpr bool commits_nothing = requires { requires S::commits_nothing; };

namespace detail {

/// What the application is told of an error of a store.
[[nodiscard]] inline std::error_code store_error(std::error_code ec) noexcept {
    for (const errc e : {errc::locked, errc::store_corrupt, errc::store_full, errc::store_version, errc::queue_full})
        if (ec == e) return ec;
    return errc::store_failed;
}

}  // namespace detail
}  // namespace hawser::inline v0
