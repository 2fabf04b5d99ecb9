// SPDX-License-Identifier: BSL-1.0
#include "transfer.hpp"

#include <hawser/transfer.hpp>

#include <algorithm>
#include <cstring>
#include <list>
#include <memory>

namespace sim {
namespace {

using namespace std::chrono_literals;
using hawser::byte_vector;
using hawser::testing::fault;

constexpr std::uint16_t port = 9000;

// What is to be sent, and what the receiver's disk has of it. Outlives all processes.
struct thing {
    std::string name;
    byte_vector bytes;
    hawser::transfer::key_type key{};
    hawser::testing::host* sender = nullptr;
    bool done = false;        // the sender was told so
    byte_vector part;
    const void* holder = nullptr;  // the sink that has the part locked
    std::uint64_t taken = 0;       // how often it was opened
    bool spoiled = false;     // a byte of the part is wrong
    bool committed = false;
};

class source final : public hawser::transfer_source {
public:
    explicit source(const byte_vector& bytes) : bytes_(bytes) {}
    [[nodiscard]] std::error_code open() override { return {}; }
    [[nodiscard]] std::optional<std::uint64_t> size() const override { return bytes_.size(); }
    [[nodiscard]] bool seekable() const noexcept override { return true; }
    [[nodiscard]] std::error_code seek(std::uint64_t offset) override {
        at_ = static_cast<std::size_t>(offset);
        return {};
    }
    [[nodiscard]] std::size_t read(hawser::byte_span into, std::error_code&) override {
        const std::size_t n = std::min(into.size(), bytes_.size() - at_);
        std::memcpy(into.data(), bytes_.data() + at_, n);
        at_ += n;
        return n;
    }

private:
    const byte_vector& bytes_;
    std::size_t at_ = 0;
};

class sink final : public hawser::transfer_sink {
public:
    sink(thing& t, hawser::testing::world& w, std::uint64_t& resumed) : thing_(t), world_(w), resumed_(resumed) {}
    ~sink() override { detach(); }
    // What an earlier process wrote may be there in part, or wrong.
    [[nodiscard]] std::uint64_t open(std::error_code& ec) override {
        if (thing_.holder) {
            ec = std::make_error_code(std::errc::device_or_resource_busy);
            return 0;
        }
        thing_.holder = this;
        taken_ = ++thing_.taken;
        if (!thing_.part.empty()) {
            const std::uint64_t at = hawser::uniform(world_.random(), 0, thing_.part.size() - 1);
            const auto fate = hawser::uniform(world_.random(), 0, 5);
            if (fate == 0) thing_.part.resize(static_cast<std::size_t>(at));
            if (fate == 1 && !thing_.spoiled) {
                thing_.part[static_cast<std::size_t>(at)] ^= std::byte{1};
                thing_.spoiled = true;
            }
        }
        return thing_.part.size();
    }
    [[nodiscard]] std::size_t reread(hawser::byte_span into, std::error_code&) override {
        const std::size_t n = std::min(into.size(), thing_.part.size() - read_);
        std::memcpy(into.data(), thing_.part.data() + read_, n);
        read_ += n;
        return n;
    }
    [[nodiscard]] std::error_code begin(std::uint64_t from) override {
        thing_.part.resize(static_cast<std::size_t>(from));
        const bool same = std::equal(thing_.part.begin(), thing_.part.end(), thing_.bytes.begin());
        world_.check(same, "transfer: goes on behind bytes that are not the source's");
        if (from == 0) thing_.spoiled = false;
        else ++resumed_;
        return {};
    }
    [[nodiscard]] std::error_code write(hawser::byte_view bytes) override {
        world_.check(thing_.holder == this, "transfer: two write one file");
        hawser::append(thing_.part, bytes);
        return {};
    }
    [[nodiscard]] std::error_code commit() override {
        world_.check(thing_.part == thing_.bytes, "transfer: what is complete is not what was sent");
        thing_.committed = true;
        thing_.part.clear();
        detach();
        return {};
    }
    void give_up(hawser::transfer_end how) noexcept override {
        if (thing_.holder == this && how != hawser::transfer_end::interrupted) thing_.part.clear();
        detach();
    }
    void detach() noexcept override {
        if (thing_.holder == this) thing_.holder = nullptr;
    }
    [[nodiscard]] std::error_code attach() override {
        if (thing_.holder == this) return {};
        if (thing_.holder || thing_.taken != taken_) return std::make_error_code(std::errc::device_or_resource_busy);
        thing_.holder = this;
        return {};
    }
    [[nodiscard]] std::string place() const override { return thing_.name; }

private:
    thing& thing_;
    hawser::testing::world& world_;
    std::uint64_t& resumed_;
    std::size_t read_ = 0;
    std::uint64_t taken_ = 0;
};

class transfer_run {
public:
    transfer_run(std::uint64_t seed, const trace_sink& trace) : seed_(seed), world_(seed ^ 0xf11e) {
        if (trace) world_.on_trace(trace);
        jitter_in_use = jitter_kind::full;
        options_ = hawser::options::reliable();
        options_.transfers = true;
        options_.queue.max_messages = 600;  // of the blocking policy
        options_.reconnect.base_delay = 50ms;
        options_.reconnect.max_delay = 2s;
        options_.connect_timeout = 3s;
        options_.heartbeat.ping_interval = 2s;
        options_.heartbeat.pong_timeout = 2s;
        options_.session_ttl = 10s;
        things_.resize(pick(1, 3));
        for (thing& t : things_) {
            t.name = "thing " + std::to_string(&t - things_.data());
            t.key[0] = static_cast<std::byte>(&t - things_.data() + 1);
            t.bytes.resize(pick(1, 400'000));
            for (auto& b : t.bytes) b = static_cast<std::byte>(world_.random()() >> 56);
        }
    }
    ~transfer_run() { world_.end(); }
    transfer_run(const transfer_run&) = delete;
    transfer_run& operator=(const transfer_run&) = delete;

    void play() {
        receiver_ = &world_.add("receiver");
        receiver_->start([this](hawser::testing::process& p) { receive(p); });
        for (thing& t : things_) {
            t.sender = &world_.add("sender" + std::to_string(&t - things_.data()));
            t.sender->start([this, &t](hawser::testing::process& p) { send(t, p); });
        }
        world_.faults().start(hawser::testing::fault_rates::swarm(world_.random()));
        world_.run_for(20s);
        quiet_ = true;
        world_.faults().stop();
        const auto all_done = [this] { return std::all_of(things_.begin(), things_.end(), [](const thing& t) { return t.done; }); };
        if (!world_.run_until(all_done, 300s) && !world_.violation()) world_.fail("transfer: not all are complete 300 s after the last fault");
    }
    void report(result& sum) {
        if (world_.violation()) {
            ++sum.violations;
            if (sum.first_violation.empty()) {
                sum.first_bad_seed = seed_;
                sum.first_violation = *world_.violation();
            }
        }
        sum.trace_hash ^= world_.trace_hash();
        sum.simulated_seconds += std::chrono::duration<double>(world_.elapsed()).count();
        sum.events += world_.events();
        sum.reached[static_cast<std::size_t>(mark::transfer_resumed)] += resumed_;
    }

private:
    std::uint64_t pick(std::uint64_t low, std::uint64_t high) { return hawser::uniform(world_.random(), low, high); }

    // Transfers are short, so what is to hit them follows their progress.
    hawser::transfer_options settings(hawser::testing::host& where) {
        hawser::transfer_options o;
        o.worker = std::make_shared<hawser::inline_worker>();
        o.chunk_bytes = 1024 * pick(1, 8);
        o.max_bytes_in_flight = o.chunk_bytes * pick(1, 8);
        o.receive_window = pick(1, 64) * 1024;
        o.on_progress = [this, &where](const hawser::transfer_progress&) {
            if (quiet_) return;
            const auto what = pick(0, 149);
            if (what < 2) (void)world_.faults().inject(fault::reset);
            if (what == 2) restart(where);
        };
        o.on_offer = [this](const hawser::transfer_offer& offer, std::string&) -> std::unique_ptr<hawser::transfer_sink> {
            for (thing& t : things_)
                if (t.key == offer.key) return std::make_unique<sink>(t, world_, resumed_);
            world_.fail("transfer: an offer that nobody made");
            return nullptr;
        };
        o.on_received = [this](const hawser::transfer_report& r) { world_.trace("received ", r.name, ": ", r.error.message()); };
        return o;
    }
    static void restart(hawser::testing::host& h) {
        h.kill();
        h.restart_in(100ms);
    }

    struct receiver {
        explicit receiver(hawser::testing::process& p, hawser::listener_options o) : listener(p.context(), {.port = port}, std::move(o)) {}
        struct peer {
            peer(socket s, hawser::transfer_options o) : link(std::move(s)), in(link, std::move(o)) {}
            socket link;
            hawser::transfers<policies> in;
        };
        std::list<peer> peers;
        server_socket listener;
    };
    void receive(hawser::testing::process& p) { accept(p.make<receiver>(p, hawser::listener_options{.socket = options_})); }
    void accept(receiver& r) {
        r.listener.async_accept([this, &r](std::error_code ec, socket s) {
            if (ec) return;
            r.peers.emplace_back(std::move(s), settings(*receiver_));
            accept(r);
        });
    }

    struct sender {
        sender(hawser::testing::process& p, const hawser::options& o, hawser::transfer_options t)
            : process(p), link(p.context(), o), out(link, std::move(t)) {}
        hawser::testing::process& process;
        socket link;
        hawser::transfers<policies> out;
    };
    void send(thing& t, hawser::testing::process& p) {
        if (t.done) return;
        auto& s = p.make<sender>(p, options_, settings(*t.sender));
        s.link.on_state([&t](const hawser::state_change& c) {
            if (c.to == hawser::connection_state::failed) restart(*t.sender);
        });
        s.link.connect("ws://receiver:" + std::to_string(port) + "/");
        p.after(std::chrono::milliseconds(pick(0, 10'000)), [this, &t, &s] { offer(t, s); });
    }
    void offer(thing& t, sender& s) {
        s.out.async_send_stream(std::make_unique<source>(t.bytes), {.name = t.name, .key = t.key},
                                [this, &t, &s](std::error_code ec, const hawser::transfer_result& r) {
                                    world_.trace("sent ", t.name, ": ", ec.message(), ", from ", r.resumed_from);
                                    if (ec == asio::error::operation_aborted) return;
                                    if (ec) return s.process.after(500ms, [this, &t, &s] { offer(t, s); });
                                    complete(t, r);
                                });
    }
    void complete(thing& t, const hawser::transfer_result& r) {
        hawser::xxh3_128_stream hash;
        hash.update(t.bytes);
        world_.check(t.committed, "transfer: told complete, and the receiver has not got it");
        world_.check(r.bytes == t.bytes.size() && r.digest == hash.digest(), "transfer: told another size or digest");
        t.done = true;
    }

    std::uint64_t seed_;
    hawser::testing::world world_;
    hawser::options options_;
    std::vector<thing> things_;
    hawser::testing::host* receiver_ = nullptr;
    bool quiet_ = false;
    std::uint64_t resumed_ = 0;
};

}  // namespace

void run_transfer(std::uint64_t seed, const trace_sink& trace, result& sum) {
    transfer_run r(seed, trace);
    r.play();
    r.report(sum);
}

}  // namespace sim
