// SPDX-License-Identifier: BSL-1.0
// Sources and sinks in memory for transfers in virtual time, and two sockets that have them.
#pragma once

#include "support/world.hpp"

#include <hawser/transfer.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace support {

// Bytes that are different at each place and for each seed.
inline hawser::byte_vector pattern(std::size_t size, std::uint64_t seed = 1) {
    hawser::xoshiro256 rng(seed);
    hawser::byte_vector bytes(size);
    for (std::size_t i = 0; i < size; i += 8) {
        const std::uint64_t v = rng();
        std::memcpy(bytes.data() + i, &v, std::min<std::size_t>(8, size - i));
    }
    return bytes;
}

class memory_source final : public hawser::transfer_source {
public:
    explicit memory_source(hawser::byte_vector bytes, bool file = true) : bytes_(std::move(bytes)), file_(file) {}
    [[nodiscard]] std::error_code open() override {
        ++opened;
        return {};
    }
    [[nodiscard]] std::optional<std::uint64_t> size() const override {
        return file_ ? std::optional<std::uint64_t>(bytes_.size()) : std::nullopt;
    }
    [[nodiscard]] bool seekable() const noexcept override { return file_; }
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
    int opened = 0;

private:
    hawser::byte_vector bytes_;
    bool file_;
    std::size_t at_ = 0;
};

// What outlives the processes of a receiver: parts by key, complete ones by name.
struct memory_folder {
    struct part {
        hawser::byte_vector bytes;
        bool locked = false;
        std::uint64_t taken = 0;  // how often
    };
    std::map<hawser::transfer::key_type, part> parts;
    std::map<std::string, hawser::byte_vector> files;
    std::size_t room = SIZE_MAX;  // bytes of one file, then ENOSPC
    std::size_t most_written = 0;
    int given_up = 0;
    std::shared_ptr<int> alive = std::make_shared<int>();  // a sink may go with the io_context, after the folder
};

class memory_sink final : public hawser::transfer_sink {
public:
    memory_sink(memory_folder& where, const hawser::transfer_offer& o) : where_(where), folder_(where.alive), key_(o.key), name_(o.name) {}
    ~memory_sink() override { detach(); }
    [[nodiscard]] std::uint64_t open(std::error_code& ec) override {
        if (where_.parts[key_].locked) {
            ec = std::make_error_code(std::errc::device_or_resource_busy);
            return 0;
        }
        lock();
        return part().bytes.size();
    }
    [[nodiscard]] std::size_t reread(hawser::byte_span into, std::error_code&) override {
        const std::size_t n = std::min(into.size(), part().bytes.size() - read_);
        std::memcpy(into.data(), part().bytes.data() + read_, n);
        read_ += n;
        return n;
    }
    [[nodiscard]] std::error_code begin(std::uint64_t from) override {
        part().bytes.resize(static_cast<std::size_t>(from));
        return {};
    }
    [[nodiscard]] std::error_code write(hawser::byte_view bytes) override {
        if (part().bytes.size() + bytes.size() > where_.room) return std::make_error_code(std::errc::no_space_on_device);
        hawser::append(part().bytes, bytes);
        where_.most_written = std::max(where_.most_written, part().bytes.size());
        return {};
    }
    [[nodiscard]] std::error_code commit() override {
        where_.files[name_] = std::move(part().bytes);
        where_.parts.erase(key_);
        held_ = false;
        return {};
    }
    void give_up(hawser::transfer_end how) noexcept override {
        ++where_.given_up;
        detach();
        if (how != hawser::transfer_end::interrupted) where_.parts.erase(key_);
    }
    void detach() noexcept override {
        if (held_ && !folder_.expired()) part().locked = false;
        held_ = false;
    }
    [[nodiscard]] std::error_code attach() override {
        if (held_) return {};
        const auto found = where_.parts.find(key_);
        if (found == where_.parts.end() || found->second.locked || found->second.taken != taken_)
            return std::make_error_code(std::errc::device_or_resource_busy);
        found->second.locked = held_ = true;
        return {};
    }
    [[nodiscard]] std::string place() const override { return name_; }

private:
    void lock() {
        part().locked = held_ = true;
        taken_ = ++part().taken;
    }
    memory_folder::part& part() { return where_.parts.at(key_); }
    memory_folder& where_;
    std::weak_ptr<int> folder_;
    hawser::transfer::key_type key_;
    std::string name_;
    std::size_t read_ = 0;
    std::uint64_t taken_ = 0;
    bool held_ = false;
};

inline hawser::options with_transfers() {
    auto o = quick(hawser::options::reliable());
    o.transfers = true;
    return o;
}
inline hawser::transfer_options inline_options() {
    hawser::transfer_options o;
    o.worker = std::make_shared<hawser::inline_worker>();
    return o;
}
inline hawser::transfer::key_type key(unsigned n) {
    hawser::transfer::key_type k{};
    k[0] = static_cast<std::byte>(n);
    return k;
}

// A server that receives into memory.
template <class P = hawser::default_policies>
struct receiving_world : world<P> {
    explicit receiving_world(std::uint64_t seed = 1, hawser::options server_options = with_transfers()) : world<P>(seed) {
        settings = inline_options();
        settings.on_offer = [this](const hawser::transfer_offer& o, std::string&) {
            offers.push_back(o);
            return std::make_unique<memory_sink>(folder, o);
        };
        settings.on_received = [this](const hawser::transfer_report& r) { reports.push_back(r); };
        this->on_accept = [this](hawser::resilient_socket<P>& s) {
            s.on_message([this](const hawser::message_view& m) { messages.emplace_back(m.text()); });
            if (attach) receivers.emplace_back(s, settings);
        };
        server_settings = std::move(server_options);
        start();
    }
    ~receiving_world() { stop(); }
    void start() { this->listen(server_settings); }
    // The process of the server dies; its disk stays.
    void stop() {
        for (auto& c : this->net.connections()) c->cut();
        receivers.clear();
        this->accepted.clear();
        this->server.reset();
    }
    memory_folder folder;
    hawser::transfer_options settings;
    hawser::options server_settings;
    bool attach = true;
    std::vector<hawser::transfer_offer> offers;
    std::vector<hawser::transfer_report> reports;
    std::vector<std::string> messages;
    std::list<hawser::transfers<P>> receivers;
};

// A peer by hand: keeps what it is told, as text.
class recording_port final : public hawser::detail::transfer_port {
public:
    [[nodiscard]] std::error_code on_message(hawser::byte_view bytes) override {
        const auto m = hawser::transfer::decode(bytes);
        heard.push_back(m ? std::visit([](const auto& v) { return text(v); }, *m) : "malformed");
        return {};
    }
    [[nodiscard]] bool on_outcome(std::uint64_t, outcome) override { return true; }
    void on_link_open(bool yes, bool) override { usable = yes; }
    void on_link_detached() override {}
    void on_link_closed(std::error_code) override {}
    void hand_over(transfer_port&) override {}
    std::vector<std::string> heard;
    bool usable = false;

private:
    static std::string why(hawser::transfer::reason r) { return std::to_string(static_cast<int>(r)); }
    static std::string text(const hawser::transfer::offer& m) { return "offer " + std::string(m.name); }
    static std::string text(const hawser::transfer::accept& m) { return "accept " + std::to_string(m.from) + " " + std::to_string(m.limit); }
    static std::string text(const hawser::transfer::refuse& m) { return "refuse " + why(m.why) + " " + std::string(m.text); }
    static std::string text(const hawser::transfer::begin& m) { return "begin " + std::to_string(m.from); }
    static std::string text(const hawser::transfer::chunk& m) { return "chunk " + std::to_string(m.offset) + " " + std::to_string(m.bytes.size()); }
    static std::string text(const hawser::transfer::end& m) { return "end " + std::to_string(m.size); }
    static std::string text(const hawser::transfer::done&) { return "done"; }
    static std::string text(const hawser::transfer::cancel& m) { return "cancel " + why(m.why); }
    static std::string text(const hawser::transfer::stop& m) { return "stop " + why(m.why); }
    static std::string text(const hawser::transfer::credit& m) { return "credit " + std::to_string(m.limit); }
};
template <class Message, class Socket>
void say(Socket& s, const Message& m) {
    hawser::byte_vector bytes;
    hawser::transfer::encode(bytes, m);
    REQUIRE(!s.try_send(hawser::message::copy(bytes, hawser::message_kind::transfer)).error);
}

// What one send ended with.
struct sent {
    bool done = false;
    std::error_code error;
    hawser::transfer_result result;
    auto handler() {
        return [this](std::error_code ec, hawser::transfer_result r) {
            REQUIRE(!done);
            done = true;
            error = ec;
            result = std::move(r);
        };
    }
};

}  // namespace support
