// SPDX-License-Identifier: BSL-1.0
/// \file
/// The concept of a store: where a session keeps what must outlive a link or a process.
///
/// | call | effect | completes |
/// |---|---|---|
/// | `open(driver, client)` | makes the store of one socket | at once |
/// | `load()` | reads what an earlier incarnation left | later: `on_loaded` |
/// | `commit(records)` | makes records durable, all or none | later: `on_committed` |
/// | destroying it | withdraws what is under way | - |
///
/// An operation never completes inside the call that starts it, also in memory, so that the
/// same code is right for a disk. One `load` comes first; one `commit` is under way at a time.
#pragma once

#include <hawser/driver/driver.hpp>
#include <hawser/protocol/session/journal.hpp>

#include <concepts>
#include <memory>
#include <system_error>
#include <vector>

namespace hawser::inline v0 {

/// What a store gives back after a restart.
struct store_image {
    bool has_origin = false;                ///< an earlier incarnation left an origin
    session::origin_id origin{};            ///< who makes messages here, part of their ids
    std::uint32_t boot = 1;                 ///< counts the starts; raised by the store at each load
    std::vector<session::record> records;   ///< what was committed and still matters, in order
};

/// Told on the driver's strand, inside a turn.
class store_client {
public:
    /// `load` is done. With an error the image is not looked at.
    virtual void on_loaded(std::error_code ec, store_image image) = 0;
    /// `commit` is done. After an error nothing counts as durable any more.
    virtual void on_committed(std::error_code ec) = 0;

protected:
    ~store_client() = default;
};

/// The store of one socket. Used on the strand, inside a turn.
class opened_store {
public:
    virtual ~opened_store() = default;
    /// Reads what an earlier incarnation left; the client is told later.
    virtual void load() = 0;
    /// Makes the records durable, all or none; the client is told later.
    virtual void commit(std::vector<session::record> records) = 0;
};

/// `durable`: it survives the process. `keeps_records`: it wants the records themselves and
/// not only the order of commits.
template <class S>
concept message_store = std::copyable<S> && requires(S& s, driver& d, store_client& c) {
    { S::durable } -> std::convertible_to<bool>;
    { S::keeps_records } -> std::convertible_to<bool>;
    { s.open(d, c) } -> std::same_as<std::unique_ptr<opened_store>>;
};

}  // namespace hawser::inline v0
