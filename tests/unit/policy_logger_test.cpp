// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/policy/logger.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace hawser;
using namespace std::chrono_literals;

namespace {
std::string line(std::string_view event, std::initializer_list<log_field> fields, std::size_t limit = 1024) {
    return format_record({log_level::info, event, {fields.begin(), fields.size()}}, limit);
}
}  // namespace

TEST_CASE("logger: one line of event key=value", "[policy][logger]") {
    const std::string host = "example.org";
    CHECK(line("connected", {}) == "connected");
    CHECK(line("connected", {{"host", host}, {"port", 443}, {"tls", true}, {"rate", 0.5}, {"bytes", std::size_t{7}}, {"delta", -3}, {"what", "two words"}}) ==
          "connected host=example.org port=443 tls=true rate=0.5 bytes=7 delta=-3 what=\"two words\"");
    CHECK(line("retry", {{"delay_us", 1500ms}, {"level", log_level::warning}, {"empty", ""}}) == "retry delay_us=1500000 level=3 empty=\"\"");
    CHECK(line("limits", {{"low", INT64_MIN}, {"high", UINT64_MAX}}) == "limits low=-9223372036854775808 high=18446744073709551615");
}

TEST_CASE("logger: nobody's bytes can start a line, add a field or move a cursor", "[policy][logger]") {
    CHECK(line("e", {{"v", "a\nERROR fake=1"}}) == "e v=\"a\\nERROR fake=1\"");
    CHECK(line("e", {{"v", "a=b"}}) == "e v=\"a=b\"");
    CHECK(line("e", {{"v", "say \"x\" \\"}}) == "e v=\"say \\\"x\\\" \\\\\"");
    CHECK(line("e", {{"v", "\x1b[2J\r\x7f"}}) == "e v=\"\\x1b[2J\\x0d\\x7f\"");
    CHECK(line("e", {{"v", "\xc2\x9b\xe2\x80\xa8"}}) == "e v=\"\\xc2\\x9b\\xe2\\x80\\xa8\"");  // C1 and a line separator in UTF-8
    CHECK(line("e", {{"v", std::string_view{"\0x", 2}}}) == "e v=\"\\x00x\"");
    CHECK(line("two words", {{"k=1 x", 1}}) == "two_words k_1_x=1");
    for (int byte = 0; byte < 256; ++byte) {
        const std::string text(1, static_cast<char>(byte));
        for (const char c : line(text, {{text, text}})) REQUIRE((c >= 0x20 && c < 0x7f));
    }
}

TEST_CASE("logger: long texts are cut", "[policy][logger]") {
    const std::string text(5000, 'x');
    CHECK(line("e", {{"v", text}}, 10) == "e v=\"xxxxxxxxxx...\"");
    CHECK(line("e", {{"v", text}}).size() < 1100);
}

TEST_CASE("logger: the threshold, changed for all copies", "[policy][logger]") {
    std::vector<std::string> lines;
    const callback_log log{[&](const log_record& r) { lines.push_back(std::string{to_string(r.level)} + " " + format_record(r)); }, log_level::warning};
    const callback_log copy = log;
    CHECK_FALSE(log.enabled(log_level::info));
    CHECK(log.enabled(log_level::error));
    log.log(log_level::info, "quiet");
    copy.log(log_level::warning, "loud", {{"n", 1}});
    log.set_threshold(log_level::trace);
    copy.log(log_level::trace, "now");
    CHECK(lines == std::vector<std::string>{"warning loud n=1", "trace now"});
}

TEST_CASE("logger: a sink that throws ends nothing, and is counted", "[policy][logger]") {
    const callback_log log{[](const log_record&) { throw std::runtime_error{"disk full"}; }};
    log.log(log_level::error, "x");
    log.log(log_level::error, "x");
    CHECK(log.failures() == 2);
    const callback_log nobody;
    CHECK_FALSE(nobody.enabled(log_level::error));
    nobody.log(log_level::error, "x");
    nobody.set_threshold(log_level::trace);
    CHECK(nobody.failures() == 0);
}

TEST_CASE("logger: threads may log and change the threshold at once", "[policy][logger][threads]") {
    std::atomic<int> calls{0};
    const callback_log log{[&](const log_record&) { ++calls; }};
    std::thread other{[log] {
        for (int i = 0; i < 2000; ++i) log.set_threshold(i % 2 == 0 ? log_level::error : log_level::info);
    }};
    for (int i = 0; i < 2000; ++i) log.log(log_level::error, "x", {{"i", i}});
    other.join();
    CHECK(calls == 2000);
}

TEST_CASE("logger: the null model is a constant", "[policy][logger]") {
    static_assert(!no_log::enabled(log_level::error) && std::is_empty_v<no_log>);
    no_log{}.log(log_level::error, "x", {{"n", 1}});
    SUCCEED();
}
