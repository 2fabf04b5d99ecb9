// SPDX-License-Identifier: BSL-1.0
/// \file
/// The message: opaque, immutable once shared, reference counted.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/detail/spare_messages.hpp>
#include <hawser/core/message_id.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace hawser::inline v0 {

/// Text (UTF-8, RFC 6455 section 5.6) or binary. `transfer` is internal: part of a file on its way, see <hawser/transfer.hpp>;
/// no application is handed one.
enum class message_kind : std::uint8_t { binary = 0, text = 1, transfer = 2 };

namespace detail {

/// What an allocation of `n` bytes takes of the heap: the usual header of a word, and rounding to 16.
[[nodiscard]] constexpr std::size_t allocated_size(std::size_t n) noexcept {
    const std::size_t rounded = (n + sizeof(std::size_t) + 15) / 16 * 16;
    return rounded < 32 ? 32 : rounded;
}

/// Where `message::ack()` and `message::reject()` go to. Implementations are thread-safe.
class ack_sink {
public:
    virtual ~ack_sink() = default;
    virtual void acknowledge(std::uint64_t epoch_serial, std::uint64_t seq, const message_id& id, bool rejected) noexcept = 0;
};

/// What only a message received in a session carries.
struct delivery {
    message_id id{};
    std::uint64_t seq = 0;
    std::uint64_t epoch_serial = 0;
    std::string key;
    std::shared_ptr<ack_sink> sink;
};

struct message_block {
    std::atomic<std::uint32_t> references{1};
    message_kind kind = message_kind::binary;
    bool compressible = true;
    std::size_t size = 0;
    std::unique_ptr<delivery> received;

    [[nodiscard]] std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
};

}  // namespace detail

/// A view of a message during a callback. The bytes are valid until the callback returns.
struct message_view {
    byte_view bytes;                             ///< the payload
    message_kind kind = message_kind::binary;    ///< text or binary
    std::uint64_t seq = 0;        ///< position in the session's direction; 0 in plain mode
    std::string_view key{};       ///< idempotency key of the sender's application, or empty
    message_id id{};              ///< given by the sender; all zero in plain mode
    std::uint64_t epoch_serial = 0;  ///< internal: which session of the socket `seq` belongs to

    ///@{
    /// The payload: whether it is text, its characters, its length in bytes.
    [[nodiscard]] bool is_text() const noexcept { return kind == message_kind::text; }
    [[nodiscard]] std::string_view text() const noexcept { return as_text(bytes); }
    [[nodiscard]] std::size_t size() const noexcept { return bytes.size(); }
    ///@}
};

/// A part of a message, as it came or as it is to be sent.
struct message_piece {
    byte_view bytes;                           ///< empty only where it is the last
    message_kind kind = message_kind::binary;  ///< of the message
    std::uint64_t offset = 0;                  ///< of the first byte in the message; 0 begins one
    bool last = true;                          ///< it ends the message

    /// Its characters. One may be split between two pieces.
    [[nodiscard]] std::string_view text() const noexcept { return as_text(bytes); }
};

/// An owned message: a handle to shared bytes. Copies share the bytes and cost one atomic
/// increment, so that one message may be sent to many sockets.
/// Thread safety: distinct handles may be used from different threads.
class message {
public:
    message() noexcept = default;

    /// A text message. `text` must be UTF-8. If not, the peer closes a plain connection with 1007; in a session it refuses the
    /// message, whose outcome is `rejected`. Throws std::bad_alloc.
    [[nodiscard]] static message text(std::string_view text) {
        return copy(as_bytes(text), message_kind::text);
    }
    /// A binary message, with a copy of `bytes`. Throws std::bad_alloc.
    [[nodiscard]] static message binary(byte_view bytes) { return copy(bytes, message_kind::binary); }
    /// The same with the kind as a value; for text, the bytes must be UTF-8.
    [[nodiscard]] static message copy(byte_view bytes, message_kind kind) {
        message result = allocate(bytes.size(), kind);
        if (!bytes.empty()) std::memcpy(result.block_->data(), bytes.data(), bytes.size());
        return result;
    }
    /// A message of `size` unspecified bytes, to be filled through `writable()`.
    [[nodiscard]] static message allocate(std::size_t size, message_kind kind) {
        void* memory = detail::spare_messages::allocate(sizeof(detail::message_block) + size);
        message result;
        result.block_ = ::new (memory) detail::message_block;
        result.block_->kind = kind;
        result.block_->size = size;
        return result;
    }

    ///@{
    /// Copies share the bytes; what was moved from is empty. No memory is allocated.
    message(const message& other) noexcept : block_(other.block_) {
        if (block_) block_->references.fetch_add(1, std::memory_order_relaxed);
    }
    message(message&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    message& operator=(message other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~message() { release(); }
    ///@}

    /// Whether there is a message; a default-constructed handle has none.
    [[nodiscard]] explicit operator bool() const noexcept { return block_ != nullptr; }
    ///@{
    /// The payload, valid while a handle of this message lives; empty without a message.
    [[nodiscard]] std::size_t size() const noexcept { return block_ ? block_->size : 0; }
    [[nodiscard]] bool is_text() const noexcept { return block_ && block_->kind == message_kind::text; }
    [[nodiscard]] message_kind kind() const noexcept { return block_ ? block_->kind : message_kind::binary; }
    [[nodiscard]] byte_view bytes() const noexcept {
        return block_ ? byte_view{block_->data(), block_->size} : byte_view{};
    }
    [[nodiscard]] std::string_view text() const noexcept { return as_text(bytes()); }
    ///@}

    /// The bytes, for filling. Precondition: no other handle shares them.
    [[nodiscard]] byte_span writable() noexcept {
        return block_ ? byte_span{block_->data(), block_->size} : byte_span{};
    }

    /// Sent as it is also on a connection with compression: for a secret beside text of somebody else's
    /// choice, whose compressed length would tell how alike they are (RFC 7692 section 8).
    /// Precondition: no other handle shares the bytes.
    message& forbid_compression() noexcept {
        if (block_) block_->compressible = false;
        return *this;
    }
    /// Whether it may be compressed.
    [[nodiscard]] bool compressible() const noexcept { return block_ && block_->compressible; }

    /// Position in the session's direction, from 1; 0 if not received in a session.
    [[nodiscard]] std::uint64_t seq() const noexcept { return received() ? received()->seq : 0; }
    /// The id given by the sender; all zero if not received in a session.
    [[nodiscard]] message_id id() const noexcept { return received() ? received()->id : message_id{}; }
    /// The idempotency key that the sender's application attached, or empty.
    [[nodiscard]] std::string_view key() const noexcept {
        return received() ? std::string_view{received()->key} : std::string_view{};
    }
    /// Takes responsibility for a message received in a session: from now on its sender may
    /// be told `acknowledged`. Needed with `acceptance_mode::on_processed`; otherwise it only
    /// comes earlier than the next receive would bring it. Repeating it is harmless.
    /// Thread safety: may be called from any thread, also after the socket is gone.
    void ack() const noexcept {
        if (const auto* info = received(); info && info->sink)
            info->sink->acknowledge(info->epoch_serial, info->seq, info->id, false);
    }
    /// Refuses a message received in a session: it counts as finished, so that it does not hold up those behind
    /// it, and its sender is told `outcome::rejected`. Has no effect once responsibility was taken, by `ack()` or
    /// by the next receive. A peer that does not know rejections is told `acknowledged`, which is counted and logged.
    /// Thread safety: as `ack()`.
    void reject() const noexcept {
        if (const auto* info = received(); info && info->sink)
            info->sink->acknowledge(info->epoch_serial, info->seq, info->id, true);
    }

    /// How much memory of messages of up to 64 KiB, and of queues that are empty, the calling thread keeps for the next
    /// ones, in bytes. 1 MiB unless this says otherwise; 0 gives all back.
    static void keep_spare(std::size_t max_bytes) noexcept { detail::spare_messages::limit(max_bytes); }

    /// Memory that this message pins, bookkeeping included, in bytes.
    [[nodiscard]] std::size_t footprint() const noexcept {
        return detail::allocated_size(detail::spare_messages::taken_for(sizeof(detail::message_block) + size()));
    }

    /// Internal: attaches what a session knows of a received message.
    void set_delivery(std::unique_ptr<detail::delivery> info) noexcept {
        block_->received = std::move(info);
    }
    /// Internal: takes back what `set_delivery` attached.
    [[nodiscard]] std::unique_ptr<detail::delivery> take_delivery() noexcept {
        return block_ ? std::move(block_->received) : nullptr;
    }

private:
    [[nodiscard]] const detail::delivery* received() const noexcept {
        return block_ ? block_->received.get() : nullptr;
    }
    void release() noexcept {
        if (!block_) return;
        // Who holds the only reference knows it without an atomic subtraction: nobody is there to make another.
        if (block_->references.load(std::memory_order_acquire) != 1 &&
            block_->references.fetch_sub(1, std::memory_order_acq_rel) != 1)
            return;
        const std::size_t bytes = sizeof(detail::message_block) + block_->size;
        block_->~message_block();
        detail::spare_messages::free(block_, bytes);
    }

    detail::message_block* block_ = nullptr;
};

}  // namespace hawser::inline v0
