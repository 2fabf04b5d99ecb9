// SPDX-License-Identifier: BSL-1.0
// A durable store whose operations fail as planned: nothing of one that failed is durable. What it does itself is
// the disk's work, and always has the memory for it.
#pragma once

#include "fail_nth/failing_driver.hpp"

#include <hawser/testing/stored_streams.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fail_nth {

class failing_durable_store {
public:
    static constexpr bool durable = true;
    static constexpr bool keeps_records = true;
    using transaction = hawser::testing::transaction;
    using streams_ptr = std::shared_ptr<hawser::testing::stored_streams>;

    explicit failing_durable_store(streams_ptr streams = std::make_shared<hawser::testing::stored_streams>())
        : streams_(std::move(streams)) {}
    [[nodiscard]] std::unique_ptr<hawser::opened_store> open(hawser::driver& d, hawser::store_client& client, std::string_view name) {
        return std::make_unique<opened>(d, client, streams_, name);
    }
    [[nodiscard]] std::unique_ptr<hawser::store_catalog> open_catalog(hawser::driver& d, hawser::catalog_client& client) {
        return std::make_unique<catalog>(d, client, streams_);
    }

private:
    [[nodiscard]] static std::error_code fate() noexcept {
        return faults::due(kind::store) ? std::make_error_code(std::errc::io_error) : std::error_code{};
    }

    class opened final : public hawser::opened_store {
    public:
        opened(hawser::driver& d, hawser::store_client& c, streams_ptr s, std::string_view name)
            : driver_(d), client_(c), streams_(std::move(s)), name_(name) {}
        ~opened() override {
            const test_code t;
            streams_->close(name_, this);
            records_.clear();
        }
        void load(const hawser::session::origin_id& fresh) override {
            fail_to_start();
            fresh_ = fresh;
            driver_.arm(load_timer_, driver_.now() + streams_->delay);
        }
        void commit(std::vector<hawser::session::record> records) override {
            fail_to_start();
            records_ = std::move(records);
            driver_.arm(commit_timer_, driver_.now() + streams_->delay);
        }

    private:
        void on_load(hawser::time_point) {
            const test_code t;
            std::error_code ec = fate();
            if (!ec && !streams_->open(name_, this)) ec = hawser::errc::locked;
            if (!ec) ec = streams_->begin_process(name_, fresh_);
            hawser::store_image image = ec ? hawser::store_image{} : streams_->image(name_);
            const library_code l;
            client_.on_loaded(ec, std::move(image));
        }
        void on_commit(hawser::time_point) {
            const test_code t;
            std::error_code ec = fate();
            if (!ec && !streams_->open(name_, this)) ec = hawser::errc::locked;
            if (!ec) ec = streams_->apply(name_, records_);
            records_.clear();
            const library_code l;
            client_.on_committed(ec);
        }
        hawser::driver& driver_;
        hawser::store_client& client_;
        streams_ptr streams_;
        std::string name_;
        hawser::session::origin_id fresh_{};
        std::vector<hawser::session::record> records_;
        hawser::timer_node load_timer_{this, hawser::on_timer<&opened::on_load>};
        hawser::timer_node commit_timer_{this, hawser::on_timer<&opened::on_commit>};
    };

    class catalog final : public hawser::store_catalog {
    public:
        catalog(hawser::driver& d, hawser::catalog_client& c, streams_ptr s) : driver_(d), client_(c), streams_(std::move(s)) {}
        void list() override {
            fail_to_start();
            driver_.arm(timer_, driver_.now() + streams_->delay);
        }
        void erase(std::string name) override {
            const test_code t;
            streams_->erase(name);
        }

    private:
        void on_list(hawser::time_point) {
            const test_code t;
            const std::error_code ec = fate();
            auto sessions = ec ? std::vector<hawser::stored_session>{} : streams_->sessions();
            const library_code l;
            client_.on_listed(ec, std::move(sessions));
        }
        hawser::driver& driver_;
        hawser::catalog_client& client_;
        streams_ptr streams_;
        hawser::timer_node timer_{this, hawser::on_timer<&catalog::on_list>};
    };

    streams_ptr streams_;
};

static_assert(hawser::message_store<failing_durable_store>);

}  // namespace fail_nth
