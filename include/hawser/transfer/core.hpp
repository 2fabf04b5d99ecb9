// SPDX-License-Identifier: BSL-1.0
/// \file
/// The transfers of one socket: executes their state machines. Definitions: core_send.hpp, core_receive.hpp, core_link.hpp.
#pragma once

#include <hawser/link/completion.hpp>
#include <hawser/link/transfer_port.hpp>
#include <hawser/transfer/codec.hpp>
#include <hawser/transfer/options.hpp>
#include <hawser/transfer/receiving.hpp>
#include <hawser/transfer/sending.hpp>

#include <asio/cancellation_type.hpp>

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <vector>

namespace hawser::inline v0::detail {

/// What transfers need of their link.
class transfer_carrier {
public:
    virtual ~transfer_carrier() = default;
    /// Queues it; returns the message's counter. Precondition: the link is open and usable.
    [[nodiscard]] virtual std::uint64_t send(message body) = 0;
    [[nodiscard]] virtual std::uint64_t max_message_size() const = 0;
    /// In a catch clause: a callback of the application threw.
    virtual void callback_threw() noexcept = 0;
};

using transfer_completion = completion<std::error_code, transfer_result>;

/// A source with what was read of it: of one job at a time, or of the strand where none runs.
struct source_io {
    std::unique_ptr<transfer_source> source;
    xxh3_128_stream hash;
    std::uint64_t at = 0;  // read and hashed
    std::error_code error;
    bool ended = false;
    message chunk;         // ready to be sent
};

/// One transfer on its way out, from its operation to its completion.
struct outgoing_transfer {
    std::uint64_t serial = 0;
    transfer_description what;
    transfer_completion done;
    std::shared_ptr<source_io> io;
    std::optional<transfer::sending> machine;  // while an attempt is under way
    transfer::id_type id = 0;
    bool busy = false;     // a job runs
    bool restart = false;  // when it ends, the attempt is over
    bool finished = false;
    bool woken = false;    // by its source, while it was busy
    unsigned failures = 0;  // attempts in a row that the receiver forgot, without progress
    time_point deadline = never;
    std::uint64_t acknowledged = 0;
};

/// A sink with what was written to it, likewise.
struct sink_io {
    std::unique_ptr<transfer_sink> sink;
    xxh3_128_stream hash;
    std::uint64_t kept = 0;
    std::uint64_t checked = 0;  // of these
    std::uint64_t wrote = 0;    // by the last job
    std::error_code error;
};

/// One transfer on its way in, from its offer until its sink has ended.
struct incoming_transfer {
    enum class stage : std::uint8_t { opening, checking, open, committing, ending };
    incoming_transfer(const transfer::offer& o, const transfer::receiving_limits& limits) : machine(o, limits) {}
    transfer::receiving machine;
    transfer_report report;
    transfer::key_type key{};
    std::uint64_t order = 0;
    std::shared_ptr<sink_io> io;
    stage at = stage::opening;
    transfer_end how = transfer_end::interrupted;
    bool busy = false;
    bool begin = false;     // BEGIN has come, the sink does not know yet
    bool over = false;      // only its sink is to be ended
    bool detached = false;  // the link is
    bool sink_detached = false;
    std::uint64_t from = 0;
    std::vector<message> waiting;  // CHUNKs to be written down
};

/// Thread safety: everything on the strand, but what says otherwise.
class transfer_core final : public std::enable_shared_from_this<transfer_core>, public transfer_port, abandonable {
public:
    transfer_core(driver& d, transfer_options o);
    ~transfer_core() override;
    transfer_core(const transfer_core&) = delete;
    transfer_core& operator=(const transfer_core&) = delete;

    void attach(std::unique_ptr<transfer_carrier> carrier) { carrier_ = std::move(carrier); }
    /// The application lets go: from now on nothing of it is called. From any thread; `stop` follows on the strand.
    void let_go() noexcept { let_go_.store(true, std::memory_order_relaxed); }
    /// Everything ends.
    void stop();

    // ---- what `transfers` offers -----------------------------------------------------------

    void send(std::uint64_t serial, std::unique_ptr<transfer_source> source, transfer_description what,
              transfer_completion done);
    [[nodiscard]] bool cancel_operation(std::uint64_t serial, asio::cancellation_type how);
    /// Of a transfer that comes in.
    bool cancel_incoming(std::uint64_t id, std::string_view text);
    [[nodiscard]] std::size_t sending() const noexcept { return active_.size() + waiting_.size(); }
    [[nodiscard]] std::size_t receiving() const noexcept { return incoming_.size(); }
    [[nodiscard]] std::size_t bytes_in_flight() const noexcept { return chunk_bytes_; }
    [[nodiscard]] std::uint64_t next_serial() noexcept { return ++last_serial_; }  // from any thread
    [[nodiscard]] driver& runtime() noexcept { return driver_; }

    // ---- transfer_port: core_link.hpp --------------------------------------------------------

    [[nodiscard]] std::error_code on_message(byte_view bytes) override;
    [[nodiscard]] bool on_outcome(std::uint64_t counter, outcome result) override;
    void on_link_open(bool usable, bool resumed) override;
    void on_link_detached() override;
    void on_link_closed(std::error_code why) override;
    void hand_over(transfer_port&) override { on_link_closed(errc::closed); }

private:
    using outgoing = std::shared_ptr<outgoing_transfer>;
    using incoming = std::shared_ptr<incoming_transfer>;
    struct in_flight {
        std::size_t chunk = 0;  // bytes of the message, if it is a CHUNK
        transfer::id_type id = 0;
        std::uint64_t end = 0;  // offset behind it
    };
    static constexpr std::size_t max_messages_in_flight = 4096;
    static constexpr std::size_t check_piece = 1024 * 1024;
    static constexpr unsigned max_failures = 3;

    // core_link.hpp
    // The session is there, if perhaps without a connection.
    [[nodiscard]] bool ready() const noexcept { return carrier_ && usable_; }
    std::uint64_t put(const byte_vector& bytes);
    template <class Message>
    void tell(const Message& m);
    template <class Transfer, class Blocking, class Done>
    void job(const Transfer& t, Blocking blocking, Done done);
    void settle(const outgoing& t, std::error_code failed, const std::function<void()>& done);
    void settle(const incoming& t, std::error_code failed, const std::function<void()>& done);
    template <class F>
    void callback(F&& f) noexcept;
    void forget_callbacks() noexcept;
    void abandon() noexcept override;
    void rearm() noexcept;
    void on_timer_due(time_point now);
    void count_job(int n);

    // core_send.hpp
    void start_waiting();
    void begin_attempt(const outgoing& t);
    void on_opened(const outgoing& t);
    void check_prefix(const outgoing& t);
    void begin_flow(const outgoing& t, const std::optional<digest128>& prefix);
    void read_next(const outgoing& t);
    void on_read(const outgoing& t);
    void send_end(const outgoing& t);
    void pump();
    void send_chunk(const outgoing& t);
    void again(const outgoing& t);
    void finish(const outgoing& t, std::error_code why, std::string_view text = {}, bool tell_peer = false);
    [[nodiscard]] outgoing find_outgoing(transfer::id_type id) const;
    void on_receiver(const transfer::accept& m);
    void on_receiver(const transfer::refuse& m);
    void on_receiver(const transfer::credit& m);
    void on_receiver(const transfer::done& m);
    void on_receiver(const transfer::stop& m);

    // core_receive.hpp
    void on_sender(const transfer::offer& m);
    void on_sender(const transfer::begin& m);
    void on_sender(const transfer::chunk& m);
    void on_sender(const transfer::end& m);
    void on_sender(const transfer::cancel& m);
    [[nodiscard]] std::unique_ptr<transfer_sink> ask(const transfer_offer& o, std::string& why);
    [[nodiscard]] incoming find_incoming(transfer::id_type id);
    void unknown_incoming(transfer::id_type id);
    void open(const incoming& t);
    void check_kept(const incoming& t);
    void step(const incoming& t);
    void write(const incoming& t);
    void commit(const incoming& t);
    void finish(const incoming& t, std::error_code why, transfer_end how, bool tell_peer, std::string_view text = {});
    void end_sink(const incoming& t);
    void report(const incoming& t, std::error_code why);

    driver& driver_;
    transfer_options options_;
    std::shared_ptr<strand_gate> gate_;
    std::unique_ptr<transfer_carrier> carrier_;
    bool open_ = false;
    bool usable_ = false;
    bool stopped_ = false;
    std::atomic<bool> let_go_{false};
    int calling_ = 0;  // callbacks that are running
    std::error_code closed_;
    std::atomic<std::uint64_t> last_serial_{0};
    int jobs_ = 0;
    byte_vector buffer_;
    std::deque<outgoing> waiting_;
    std::deque<outgoing> active_;  // in the order in which they may send
    std::map<transfer::id_type, incoming> incoming_;
    std::uint64_t last_order_ = 0;
    std::map<std::uint64_t, in_flight> in_flight_;  // by the message's counter
    std::size_t chunk_bytes_ = 0;                   // of these
    std::deque<transfer::id_type> unknown_;         // the peer was told so, the last few
    timer_node timer_{this, on_timer<&transfer_core::on_timer_due>};
};

}  // namespace hawser::inline v0::detail

#include <hawser/transfer/core_link.hpp>
#include <hawser/transfer/core_receive.hpp>
#include <hawser/transfer/core_send.hpp>
