// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/source_dir.hpp"
#include "support/ws_frames.hpp"

#include <simdjson.h>

#include <string>

using namespace ws_test;

namespace {

std::string string_at(simdjson::dom::element object, const char* key) {
    std::string_view text;
    REQUIRE(object[key].get(text) == simdjson::SUCCESS);
    return std::string(text);
}

std::string expected_event(simdjson::dom::element e) {
    const std::string kind = string_at(e, "kind");
    std::uint64_t code = 0, errc = 0, rsv = 0;
    if (e["code"].get(code) != simdjson::SUCCESS) code = 0;
    if (e["errc"].get(errc) != simdjson::SUCCESS) errc = 0;
    if (e["rsv"].get(rsv) != simdjson::SUCCESS) rsv = 0;
    if (kind == "error") return "error:" + std::to_string(errc) + ":" + std::to_string(code);
    const std::string payload = string_at(e, "payload");
    if (kind == "close") return "close:" + std::to_string(code) + ":" + payload;
    return kind + (rsv == 0 ? "" : std::string("+").append(std::to_string(rsv))) + ":" + payload;
}

ws::reader_limits limits_of(simdjson::dom::element v) {
    ws::reader_limits limits;
    std::uint64_t number = 0;
    bool flag = false;
    if (v["max_message_size"].get(number) == simdjson::SUCCESS)
        limits.max_message_size = static_cast<std::size_t>(number);
    if (v["max_fragments"].get(number) == simdjson::SUCCESS) limits.max_fragments = static_cast<std::uint32_t>(number);
    if (v["permitted_rsv"].get(number) == simdjson::SUCCESS) limits.permitted_rsv = static_cast<std::uint8_t>(number);
    if (v["validate_utf8"].get(flag) == simdjson::SUCCESS) limits.validate_utf8 = flag;
    return limits;
}

}  // namespace

TEST_CASE("F16: the vectors of ws_frames.json at every split, in both roles", "[ws][vectors]") {
    simdjson::dom::parser parser;
    simdjson::dom::element file = parser.load(source_file("tests/vectors/ws_frames.json"));
    std::size_t count = 0;
    for (simdjson::dom::element v : simdjson::dom::array(file["vectors"])) {
        const std::string name = string_at(v, "name");
        const bool server = string_at(v, "role") == "server";
        event_log expected;
        for (simdjson::dom::element e : simdjson::dom::array(v["events"]))
            expected.push_back(expected_event(e));
        const byte_vector input = from_hex(std::string_view(v["input"]));
        at_every_split(server ? ws::role::server : ws::role::client, limits_of(v), input,
                       [&](const event_log& got, std::size_t split) {
                           if (got == expected) return;
                           INFO(name << (server ? " (server)" : " (client)") << " split at " << split);
                           CHECK(got == expected);
                       });
        ++count;
    }
    CHECK(count >= 200);
}
