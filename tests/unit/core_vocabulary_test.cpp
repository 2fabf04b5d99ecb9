// SPDX-License-Identifier: BSL-1.0
// The vocabulary: error codes and their numbers, close codes, messages, rings.
#include "support/catch.hpp"
#include "support/source_dir.hpp"

#include <hawser/core/close_code.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/core/message.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/core/time.hpp>

#include <deque>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

using namespace hawser;

TEST_CASE("errc: every code has one text, one number, and a condition", "[core]") {
    // The enumerators as they are written, so that a new one without a row is noticed.
    std::ifstream file(source_file("include/hawser/core/errc.hpp"));
    std::stringstream text;
    text << file.rdbuf();
    const std::string source = text.str();
    const std::string body = source.substr(source.find("enum class errc"), source.find("enum class condition") - source.find("enum class errc"));
    std::set<int> numbers;
    std::istringstream lines(body);
    for (std::string line; std::getline(lines, line);) {
        const auto equals = line.find(" = ");
        if (equals == std::string::npos || line.find("//") < equals) continue;
        const int number = std::stoi(line.substr(equals + 3));
        CAPTURE(number);
        CHECK(numbers.insert(number).second);
        const std::error_code ec = static_cast<errc>(number);
        CHECK(ec.message().find("unknown hawser error") == std::string::npos);
        CHECK((ec == condition::retryable) + (ec == condition::fatal) + (ec == condition::degraded) == 1);
    }
    CHECK(numbers.size() == std::size(hawser::detail::errc_texts));
    CHECK(numbers.size() > 60);
    CHECK(std::error_code(static_cast<errc>(9999)).message() == "unknown hawser error 9999");
}

TEST_CASE("errc: the numbers are stable", "[core]") {
    CHECK(static_cast<int>(errc::connect_timeout) == 1);
    CHECK(static_cast<int>(errc::bad_request) == 20);
    CHECK(static_cast<int>(errc::reserved_bits) == 40);
    CHECK(static_cast<int>(errc::session_protocol) == 60);
    CHECK(static_cast<int>(errc::outcome_unknown) == 80);
    CHECK(static_cast<int>(errc::queue_full) == 100);
    CHECK(static_cast<int>(errc::invalid_argument) == 120);
    CHECK(static_cast<int>(close_code::superseded) == 4000);
    CHECK(static_cast<int>(close_code::version_mismatch) == 4006);
}

TEST_CASE("conditions: an error of the system is retryable, success is nothing", "[core]") {
    CHECK(std::make_error_code(std::errc::connection_reset) == condition::retryable);
    CHECK(std::make_error_code(std::errc::connection_reset) != condition::fatal);
    CHECK(std::error_code() != condition::retryable);
    CHECK(std::error_code(errc::unauthorized) == condition::fatal);
    CHECK(std::error_code(errc::refused_for_good) == condition::fatal);
    CHECK(std::error_code(errc::outcome_unknown) == condition::degraded);
}

TEST_CASE("F22: which close codes may be on the wire", "[core]") {
    for (const unsigned bad : {0U, 1U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 2000U, 2999U, 5000U, 65535U})
        CHECK_FALSE(is_sendable(static_cast<close_code>(bad)));
    for (const unsigned good : {1000U, 1001U, 1002U, 1003U, 1007U, 1011U, 1012U, 1014U, 3000U, 3999U, 4000U, 4999U})
        CHECK(is_sendable(static_cast<close_code>(good)));
}

TEST_CASE("message: handles share bytes, the last one frees them", "[core]") {
    message a = message::text("hello");
    const message b = a;
    CHECK(a.bytes().data() == b.bytes().data());
    CHECK((b.is_text() && b.text() == "hello" && b.size() == 5));
    message c = std::move(a);
    CHECK_FALSE(a);  // NOLINT: what a moved-from message is, is part of its contract
    CHECK(a.size() == 0);
    c = message::binary({});
    CHECK((c && c.size() == 0 && !c.is_text()));
    CHECK(b.text() == "hello");
    CHECK(message::allocate(1000, message_kind::binary).footprint() >= 1000);
    message().ack();
    b.ack();  // not received in a session: nothing to acknowledge
}

TEST_CASE("ring: like a deque, with what it holds destroyed once", "[core]") {
    auto token = std::make_shared<int>(0);
    {
        ring<std::pair<int, std::shared_ptr<int>>> r;
        std::deque<int> model;
        std::uint64_t state = 12345;
        for (int i = 0; i < 20'000; ++i) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            switch ((state >> 33) % 5) {
            case 0: case 1: (void)r.push_back({i, token}); model.push_back(i); break;
            case 2: (void)r.push_front({i, token}); model.push_front(i); break;
            case 3: if (!model.empty()) { CHECK(r.pop_front().first == model.front()); model.pop_front(); } break;
            default: if (!model.empty()) { CHECK(r.pop_back().first == model.back()); model.pop_back(); } break;
            }
            REQUIRE(r.size() == model.size());
            if (!model.empty()) REQUIRE(r[model.size() / 2].first == model[model.size() / 2]);
        }
        REQUIRE(token.use_count() == static_cast<long>(model.size()) + 1);
        auto moved = std::move(r);
        CHECK(moved.size() == model.size());
        CHECK(r.empty());  // NOLINT
    }
    CHECK(token.use_count() == 1);
}

TEST_CASE("ring: memory is given back where there are no elements, and only there", "[core]") {
    ring<std::pair<std::uint64_t, std::shared_ptr<int>>> r;
    CHECK(r.memory_bytes() == 0);
    for (std::uint64_t i = 0; i < 100; ++i) (void)r.push_back({i, nullptr});
    while (r.size() > 1) (void)r.pop_front();
    r.release();
    CHECK(r.memory_bytes() >= 100 * sizeof(r[0]));
    CHECK(r.front().first == 99);
    (void)r.pop_front();
    r.release();
    CHECK(r.memory_bytes() == 0);
    (void)r.push_front({7, nullptr});
    CHECK(r.back().first == 7);
    CHECK(r.memory_bytes() <= 128);  // a first block is small
}

TEST_CASE("time: a wait too long to represent is never", "[core]") {
    const time_point now = time_point{} + seconds{1000};
    CHECK(add_saturated(now, seconds{1}) == now + seconds{1});
    CHECK(add_saturated(now, duration::max()) == never);
    CHECK(add_saturated(never, seconds{1}) == never);
}
