// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/source_dir.hpp"
#include "support/upgrade_feed.hpp"

#include <simdjson.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

using hawser::errc;
using hawser::ws::client_upgrade;
using hawser::ws::server_upgrade;

struct vector_row {
    std::string name, role, input, error, subprotocol;
    unsigned status = 0;
    std::vector<std::string> offer;
};

// Everything that one feeding led to, in one comparable value.
struct outcome {
    unsigned status = 0;
    std::error_code error;
    std::string subprotocol;
    bool operator==(const outcome&) const = default;
};

std::error_code error_named(std::string_view name) {
    static const std::map<std::string_view, errc> names = {{"bad_request", errc::bad_request},
                                                           {"method_not_allowed", errc::method_not_allowed},
                                                           {"upgrade_required", errc::upgrade_required},
                                                           {"body_not_allowed", errc::body_not_allowed},
                                                           {"header_too_large", errc::header_too_large},
                                                           {"target_too_long", errc::target_too_long},
                                                           {"refused", errc::refused},
                                                           {"redirected", errc::redirected},
                                                           {"unauthorized", errc::unauthorized},
                                                           {"bad_accept", errc::bad_accept},
                                                           {"bad_subprotocol", errc::bad_subprotocol},
                                                           {"bad_extension", errc::bad_extension},
                                                           {"bad_response", errc::bad_response}};
    return name.empty() ? std::error_code{} : names.at(name);
}

std::vector<vector_row> load() {
    simdjson::dom::parser parser;
    const simdjson::dom::element document = parser.load(source_file("tests/vectors/upgrade.json"));
    std::vector<vector_row> rows;
    for (const auto one : simdjson::dom::array(document["vectors"])) {
        const auto text = [&](const char* key) { return std::string(std::string_view(one[key])); };
        vector_row row{text("name"), text("role"), text("input"), text("error"), text("subprotocol"), 0, {}};
        row.status = static_cast<unsigned>(std::uint64_t(one["status"]));
        if (row.role == "client")
            for (const auto offered : simdjson::dom::array(one["offer"]))
                row.offer.emplace_back(std::string_view(offered));
        rows.push_back(std::move(row));
    }
    return rows;
}

outcome result_of(const server_upgrade& upgrade) {
    if (upgrade.state() == server_upgrade::status::need_more) return {};
    if (upgrade.state() == server_upgrade::status::failed)
        return {upgrade.failure().http_status, upgrade.failure().error(), {}};
    const auto& offered = upgrade.request().subprotocols;
    return {101, {}, offered.empty() ? std::string{} : offered.front()};
}
outcome result_of(const client_upgrade& upgrade) {
    return {upgrade.http_status(), upgrade.error(), upgrade.subprotocol()};
}

template <class Make>
void check_row(const vector_row& row, Make make) {
    INFO(row.role << ": " << row.name);
    const outcome expected{row.status, error_named(row.error), row.subprotocol};
    std::size_t different = 0;
    auto whole = make();
    hawser_test::feed_pieces(whole, {row.input});
    const auto got = result_of(whole);
    CHECK(got.status == expected.status);
    CHECK(got.error == expected.error);
    CHECK(got.subprotocol == expected.subprotocol);
    // The longest inputs are split at fewer places, byte by byte they are fed in full.
    const std::string_view text = row.input;
    const std::size_t stride = text.size() / 1000 + 1;
    for (std::size_t at = 0; at <= text.size(); at += stride) {
        auto upgrade = make();
        hawser_test::feed_pieces(upgrade, {text.substr(0, at), text.substr(at)});
        different += result_of(upgrade) == expected ? 0u : 1u;
    }
    auto bytewise = make();
    for (std::size_t i = 0; i < text.size(); ++i)
        hawser_test::feed_pieces(bytewise, {text.substr(i, 1)});
    different += result_of(bytewise) == expected ? 0u : 1u;
    CHECK(different == 0);
}

}  // namespace

TEST_CASE("upgrade vectors: each row gives its status and error at every split (F16)", "[upgrade]") {
    const auto rows = load();
    REQUIRE(rows.size() > 200);
    for (const auto& row : rows) {
        if (row.role == "server")
            check_row(row, [] { return server_upgrade(); });
        else
            check_row(row, [&] { return hawser_test::started_client(row.offer); });
    }
}

TEST_CASE("upgrade vectors: each refusal of a server is a valid response that closes", "[upgrade]") {
    for (const auto& row : load()) {
        if (row.role != "server" || row.error.empty()) continue;
        INFO(row.name);
        server_upgrade server;
        hawser_test::feed_pieces(server, {row.input});
        hawser::byte_vector out;
        REQUIRE_FALSE(server.write_failure(out));
        auto client = hawser_test::started_client();
        std::size_t consumed = 0;
        CHECK(client.feed(out, consumed) == client_upgrade::status::failed);
        CHECK(client.http_status() == row.status);
        CHECK(client.error() == errc::refused);
        CHECK(client.head().has_token("Connection", "close"));
        const bool head_method = row.input.starts_with("HEAD ");
        CHECK(out.size() - consumed == (head_method ? 0 : server.failure().text.size()));
        CHECK(client.head().find("Content-Length") == std::to_string(server.failure().text.size()));
    }
}
