// SPDX-License-Identifier: BSL-1.0
// What must be true of every message, whatever happens below. It knows what was handed in, what
// came out and what was reported, and nothing of how the library works.
#pragma once

#include <hawser/core/message.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/core/send_options.hpp>
#include <hawser/testing/world.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace sim {

// The messages of one sending socket, numbered from 1.
struct stream {
    struct record {
        bool accepted = false;
        hawser::outcome told = hawser::outcome::pending;
        std::uint32_t size = 0;
        bool delivered = false;
        hawser::message_priority priority = hawser::message_priority::normal;
        bool expires = false;
        std::string coalesce_key{};
        std::vector<std::uint32_t> finished_in{};  // processes whose application has finished with it
    };
    std::uint32_t id = 0;
    bool reliable = true;
    bool alive = true;           // its sender can still be told
    bool may_be_unknown = false; // something happened that loses windows
    hawser::milliseconds max_age{};  // of its queue
    bool drops = false;              // its overflow policy may drop messages
    std::size_t part_size = SIZE_MAX;  // larger messages leave in parts
    std::vector<record> records; // by number - 1
    std::map<std::uint64_t, std::uint64_t> number_of_ticket;
    std::map<std::uint64_t, hawser::outcome> early;      // told before the ticket was known
    // Per receiving process or socket, and class or coalescing key: the last number.
    std::map<std::tuple<std::uint64_t, hawser::message_priority, std::string>, std::uint64_t> last_in;
    // First deliveries, in their order; shared with the other stream of its socket.
    struct delivery {
        const stream* from;
        std::uint64_t number;
    };
    std::shared_ptr<std::vector<delivery>> deliveries = std::make_shared<std::vector<delivery>>();
};

class oracle {
public:
    explicit oracle(hawser::testing::world& w) : world_(w) {}

    [[nodiscard]] stream& open(bool reliable) {
        stream& s = streams_.emplace_back();
        s.id = static_cast<std::uint32_t>(streams_.size());
        s.reliable = reliable;
        return s;
    }
    [[nodiscard]] std::deque<stream>& streams() noexcept { return streams_; }

    // The next message of a stream; its content follows from its name.
    [[nodiscard]] hawser::message next(stream& s, std::uint32_t size, const hawser::send_options& how);
    // The application learns that a message was taken, or that it was not.
    void taken(stream& s, std::uint64_t number, hawser::ticket t);
    void refused(stream& s, std::uint64_t number);
    // `on_outcome` and the completion of a send may both tell, and then the same.
    void told(stream& s, hawser::ticket t, hawser::outcome o);
    void told_number(stream& s, std::uint64_t number, hawser::outcome o);
    // A message came out at a process, through one of its sockets; both numbers are unique in the run.
    // A plain connection that its client has given up may still deliver behind the next one: there
    // order is a matter of one accepted socket. So it is where the application has to finish with
    // each message: what it had not finished when its socket ended comes again.
    void delivered(const hawser::message_view& m, std::uint32_t incarnation, std::uint32_t receiver, bool is_finished);
    // The application has finished with a message that it got.
    void finished(const hawser::message_view& m, std::uint32_t incarnation);
    // The time to live of a message that cannot have left is over.
    void check_expired(const stream& s, std::uint64_t number);
    // Nothing is under way any more: no message of a living sender may be without an outcome.
    void check_all_told();

    std::uint64_t accepted = 0, deliveries = 0, acknowledged = 0, unknown = 0, cancelled = 0, refusals = 0, written = 0;

private:
    void check_never_written(const stream& s, std::uint64_t number, hawser::outcome o);
    void check_order(stream& s, std::uint64_t number, std::uint64_t receiver);
    void check_turns(const stream& s, std::uint64_t number);
    // Which message this is; false if none that was sent.
    bool find(const hawser::message_view& m, stream*& s, std::uint64_t& number);
    void fail(const stream& s, std::uint64_t number, const char* what);

    hawser::testing::world& world_;
    std::deque<stream> streams_;
};

}  // namespace sim
