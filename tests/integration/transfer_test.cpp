// SPDX-License-Identifier: BSL-1.0
// Transfers of real files over real sockets, with the worker's thread.
#include "support/catch.hpp"
#include "support/host_context.hpp"

#include <hawser/hawser.hpp>
#include <hawser/transfer.hpp>

#include <filesystem>
#include <fstream>
#include <list>

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using hawser::errc;

namespace {

// A folder that is gone afterwards.
struct scratch {
    scratch() {
        char name[] = "/tmp/hawser_transfer_XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path = name;
        fs::create_directory(path / "in");
        fs::create_directory(path / "out");
    }
    ~scratch() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    fs::path write(const std::string& name, std::size_t size, std::uint64_t seed) const {
        hawser::xoshiro256 rng(seed);
        std::string text(size, '\0');
        for (char& c : text) c = static_cast<char>(rng());
        std::ofstream(path / "out" / name, std::ios::binary) << text;
        return path / "out" / name;
    }
    [[nodiscard]] static std::string read(const fs::path& p) {
        std::ifstream in(p, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(path / "in"), fs::directory_iterator()));
    }
    fs::path path;
};

hawser::options settings() {
    auto o = hawser::options::reliable();
    o.transfers = true;
    return o;
}

// For at most a minute; returns whether it came true.
template <class Done>
bool run_until(asio::io_context& context, Done done) {
    const auto until = std::chrono::steady_clock::now() + 60s;
    context.restart();
    while (!done() && std::chrono::steady_clock::now() < until) context.run_one_for(1s);
    return done();
}

struct server {
    server(asio::io_context& context, const scratch& where, hawser::folder_options folder = {})
        : listener(context, {.address = "127.0.0.1", .port = 0}, settings()) {
        folder.path = (where.path / "in").string();
        options.on_offer = hawser::receive_into(folder);
        options.on_received = [this](const hawser::transfer_report& r) { reports.push_back(r); };
        accept();
    }
    void accept() {
        listener.async_accept([this](std::error_code ec, hawser::resilient_socket<> s) {
            if (ec) return;
            sockets.push_back(std::move(s));
            transfers.emplace_back(sockets.back(), options);
            accept();
        });
    }
    [[nodiscard]] std::string url() const { return "ws://127.0.0.1:" + std::to_string(listener.port()) + "/"; }
    hawser::transfer_options options;
    hawser::listener<> listener;
    std::list<hawser::resilient_socket<>> sockets;
    std::list<hawser::transfers<>> transfers;
    std::vector<hawser::transfer_report> reports;
};

}  // namespace

TEST_CASE("transfer: files arrive over real sockets, several at once, complete and under their names") {
    const scratch where;
    support::host_context context(1);
    server s(context, where);
    hawser::resilient_socket<> client(context, settings());
    hawser::transfers<> out(client);
    client.connect(s.url());
    int done = 0;
    std::vector<std::string> expected;
    for (int i = 0; i < 5; ++i) {
        const auto path = where.write("file" + std::to_string(i), static_cast<std::size_t>(i) * 700'001, static_cast<std::uint64_t>(i));
        expected.push_back(scratch::read(path));
        out.async_send_file(path, [&](std::error_code ec, const hawser::transfer_result&) {
            CHECK(ec == std::error_code{});
            ++done;
        });
    }
    REQUIRE(run_until(context, [&] { return done == 5; }));
    for (int i = 0; i < 5; ++i) CHECK((scratch::read(where.path / "in" / ("file" + std::to_string(i))) == expected[static_cast<std::size_t>(i)]));
    CHECK(where.files() == 5);  // and no temporary ones
    CHECK(s.reports.size() == 5);
    CHECK(s.reports.front().place == (where.path / "in" / s.reports.front().name).string());
}

TEST_CASE("transfer: a name that is taken, that may not be, and a file that is not there") {
    const scratch where;
    support::host_context context(1);
    hawser::folder_options folder;
    std::error_code expected;
    std::string name = "a.txt", text;
    fs::path path = where.write(name, 1000, 2);
    std::ofstream(where.path / "in" / "a.txt") << "older";
    std::size_t files = 1;
    SECTION("rename: the default") { files = 2; }
    SECTION("replace") { folder.on_existing = hawser::existing_file::replace; }
    SECTION("refuse") {
        folder.on_existing = hawser::existing_file::refuse;
        expected = errc::transfer_refused;
        text = "there is a file of this name";
    }
    SECTION("a name that leads out of the folder") {
        name = "../a.txt";
        expected = errc::transfer_refused;
        text = "the name begins with a dot";
    }
    SECTION("no such file") {
        path = where.path / "out" / "nothing";
        expected = std::make_error_code(std::errc::no_such_file_or_directory);
    }
    SECTION("a folder") {
        path = where.path / "out";
        expected = errc::invalid_argument;
    }
    server s(context, where, folder);
    hawser::resilient_socket<> client(context, settings());
    hawser::transfers<> out(client);
    client.connect(s.url());
    bool done = false;
    out.async_send_file(path, {.name = name}, [&](std::error_code ec, const hawser::transfer_result& r) {
        CHECK(ec == expected);
        CHECK(r.text == text);
        done = true;
    });
    REQUIRE(run_until(context, [&] { return done; }));
    CHECK(where.files() == files);
    if (expected) return;
    CHECK((scratch::read(files == 2 ? where.path / "in" / "a (1).txt" : where.path / "in" / "a.txt") == scratch::read(path)));
    if (files == 2) CHECK(scratch::read(where.path / "in" / "a.txt") == "older");
}

TEST_CASE("transfer: the receiving process is gone, and the next goes on with its temporary file") {
    const scratch where;
    const auto path = where.write("large", 20'000'000, 5);
    support::host_context context(1);
    std::size_t kept = 0;
    {
        server s(context, where);
        std::uint64_t arrived = 0;
        s.options.on_progress = [&](const hawser::transfer_progress& p) { arrived = p.bytes; };
        hawser::resilient_socket<> client(context, settings());
        hawser::transfers<> out(client);
        client.connect(s.url());
        out.async_send_file(path, [](std::error_code, const hawser::transfer_result&) {});
        REQUIRE(run_until(context, [&] { return arrived > 5'000'000; }));
    }
    // What had arrived is still written.
    context.restart();
    context.run_for(60s);
    for (const auto& entry : fs::directory_iterator(where.path / "in")) kept = fs::file_size(entry);
    REQUIRE(kept > 5'000'000);
    server s(context, where);
    hawser::resilient_socket<> client(context, settings());
    hawser::transfers<> out(client);
    client.connect(s.url());
    hawser::transfer_result result;
    bool done = false;
    out.async_send_file(path, [&](std::error_code ec, const hawser::transfer_result& r) {
        CHECK(ec == std::error_code{});
        result = r;
        done = true;
    });
    REQUIRE(run_until(context, [&] { return done; }));
    CHECK(result.resumed_from == kept);
    CHECK((scratch::read(where.path / "in" / "large") == scratch::read(path)));
    CHECK(where.files() == 1);
}

TEST_CASE("transfer: sockets, transfers and the io_context may go while the worker is busy") {
    const scratch where;
    const auto path = where.write("large", 3'000'000, 6);
    for (int i = 0; i < 30; ++i) {
        CAPTURE(i);
        auto context = std::make_unique<support::host_context>(1);
        auto s = std::make_unique<server>(*context, where);
        auto client = std::make_unique<hawser::resilient_socket<>>(*context, settings());
        auto out = std::make_unique<hawser::transfers<>>(*client);
        client->connect(s->url());
        bool done = false;
        // Lives in the handler: destroyed with it where it is not called.
        auto witness = std::make_shared<int>();
        const std::weak_ptr<int> alive = witness;
        out->async_send_file(path, [&done, witness = std::move(witness)](std::error_code, const hawser::transfer_result&) { done = true; });
        context->run_for(std::chrono::milliseconds(i));
        if (i % 3 == 0) {
            out.reset();
            CHECK(run_until(*context, [&] { return done; }));
        }
        if (i % 3 == 1) {
            client.reset();
            CHECK(run_until(*context, [&] { return done; }));
        }
        // Sockets must not outlive the context, which is destroyed with what still waits in it.
        out.reset();
        client.reset();
        s.reset();
        context.reset();
        CHECK(alive.expired());
    }
}

TEST_CASE("transfer: a temporary file that somebody else has locked is let alone") {
    const scratch where;
    const hawser::transfer_offer offer{.id = 1, .name = "x", .size = 10, .metadata = {}, .key = {}};
    const hawser::folder_options folder{.path = (where.path / "in").string()};
    std::error_code ec;
    hawser::file_sink first(folder, offer, "x");
    CHECK(first.open(ec) == 0);
    REQUIRE(!ec);
    REQUIRE(!first.begin(0));
    REQUIRE(!first.write(hawser::as_bytes("01234")));
    hawser::file_sink second(folder, offer, "x");
    CHECK(second.open(ec) == 0);
    REQUIRE(!ec);
    CHECK(where.files() == 2);

    SECTION("the first goes on after its link was lost, where nobody took it") {
        first.detach();
        REQUIRE(!first.attach());
        REQUIRE(!first.write(hawser::as_bytes("56789")));
        REQUIRE(!first.commit());
        CHECK(scratch::read(first.place()) == "0123456789");
    }
    SECTION("somebody took it meanwhile: it is not written to any more, nor removed") {
        first.detach();
        hawser::file_sink third(folder, offer, "x");
        CHECK(third.open(ec) == 5);
        CHECK(first.attach());
        first.give_up(hawser::transfer_end::wrong);
        CHECK(where.files() == 2);
    }
    SECTION("what is kept depends on how it ended") {
        first.give_up(hawser::transfer_end::failed);
        CHECK(where.files() == 1);
        second.give_up(hawser::transfer_end::interrupted);  // it is empty
        CHECK(where.files() == 0);
    }
}

TEST_CASE("transfer: a disk without room for it is told before anything is sent") {
    const scratch where;
    const hawser::transfer_offer offer{.id = 1, .name = "x", .size = std::uint64_t{1} << 60, .metadata = {}, .key = {}};
    hawser::file_sink sink({.path = (where.path / "in").string()}, offer, "x");
    std::error_code ec;
    (void)sink.open(ec);
    CHECK(ec == std::errc::no_space_on_device);
}
