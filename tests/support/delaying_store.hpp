// SPDX-License-Identifier: BSL-1.0
// A store that takes its time, mixes with other events, keeps its records, and may fail.
#pragma once

#include <hawser/store/memory_store.hpp>

#include <memory>
#include <vector>

namespace support {

// Shared by all sockets that use the store.
struct delaying_log {
    hawser::duration delay = std::chrono::milliseconds(7);
    bool fail = false;
    std::vector<hawser::session::record> records;
    int commits = 0, loads = 0;
};

class delaying_store {
public:
    static constexpr bool durable = true;
    static constexpr bool keeps_records = true;
    using transaction = hawser::store_transaction;

    explicit delaying_store(std::shared_ptr<delaying_log> log = std::make_shared<delaying_log>()) : log_(std::move(log)) {}

    [[nodiscard]] std::unique_ptr<hawser::opened_store> open(hawser::driver& d, hawser::store_client& client, std::string_view) {
        return std::make_unique<opened>(d, client, log_);
    }
    [[nodiscard]] std::unique_ptr<hawser::store_catalog> open_catalog(hawser::driver& d, hawser::catalog_client& client) {
        return hawser::memory_store().open_catalog(d, client);
    }

private:
    class opened final : public hawser::opened_store {
    public:
        opened(hawser::driver& d, hawser::store_client& client, std::shared_ptr<delaying_log> log)
            : driver_(d), client_(client), log_(std::move(log)) {}
        void load(const hawser::session::origin_id&) override {
            ++log_->loads;
            driver_.arm(load_timer_, driver_.now() + log_->delay);
        }
        void commit(std::vector<hawser::session::record> records) override {
            pending_ = std::move(records);
            driver_.arm(commit_timer_, driver_.now() + log_->delay);
        }

    private:
        void on_load(hawser::time_point) {
            hawser::store_image image;
            image.origin[0] = std::byte{0x42};
            image.boot = 3;
            client_.on_loaded({}, std::move(image));
        }
        void on_commit(hawser::time_point) {
            ++log_->commits;
            if (log_->fail) return client_.on_committed(std::make_error_code(std::errc::no_space_on_device));
            for (auto& r : pending_) log_->records.push_back(std::move(r));
            pending_.clear();
            client_.on_committed({});
        }
        hawser::driver& driver_;
        hawser::store_client& client_;
        std::shared_ptr<delaying_log> log_;
        std::vector<hawser::session::record> pending_;
        hawser::timer_node load_timer_{this, hawser::on_timer<&opened::on_load>};
        hawser::timer_node commit_timer_{this, hawser::on_timer<&opened::on_commit>};
    };
    std::shared_ptr<delaying_log> log_;
};

static_assert(hawser::message_store<delaying_store>);

}  // namespace support
