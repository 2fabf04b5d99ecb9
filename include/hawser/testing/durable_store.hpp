// SPDX-License-Identifier: BSL-1.0
/// \file
/// A durable store for simulations: it outlives the processes that use it, and may fail or lose its
/// process at each of its operations.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/store/store.hpp>
#include <hawser/testing/stored_streams.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hawser::inline v0::testing {

/// A handle to the streams of a machine, in memory or on its disk. Each operation takes `stored_streams::delay`.
/// Thread safety: none; effects run on the strand.
class durable_store {
public:
    static constexpr bool durable = true;        ///< as far as the simulated machine lasts
    static constexpr bool keeps_records = true;  ///< all of them
    using transaction = testing::transaction;    ///< what effects get

    /// A store of its own.
    durable_store() : streams_(std::make_shared<stored_streams>()) {}
    /// The store of a machine.
    explicit durable_store(std::shared_ptr<stored_streams> streams) : streams_(std::move(streams)) {}

    /// Of the concept.
    [[nodiscard]] std::unique_ptr<opened_store> open(driver& d, store_client& client, std::string_view name) {
        return std::make_unique<opened>(d, client, streams_, std::string(name));
    }
    /// Of the concept.
    [[nodiscard]] std::unique_ptr<store_catalog> open_catalog(driver& d, catalog_client& client) {
        return std::make_unique<catalog>(d, client, streams_);
    }

private:
    class opened final : public opened_store {
    public:
        opened(driver& d, store_client& client, std::shared_ptr<stored_streams> s, std::string name)
            : driver_(d), client_(client), streams_(std::move(s)), name_(std::move(name)) {}
        ~opened() override {
            streams_->withdraw(ticket_);
            streams_->close(name_, this);
        }
        void load(const session::origin_id& fresh) override {
            fresh_ = fresh;
            loading_ = true;
            begin();
        }
        void commit(std::vector<session::record> records) override {
            records_ = std::move(records);
            begin();
        }

    private:
        void begin() {
            fault_ = streams_->next_fault();
            if (fault_ == store_fault::lost_after) {
                if (!loading_) error_ = write();
                error_ = execute();
            }
            driver_.arm(timer_, driver_.now() + (loading_ ? streams_->delay : streams_->delay / 2));
            written_ = loading_;
        }
        // Half of the time for writing, half for making it durable. What a process that dies meanwhile never hears of.
        void on_done(time_point now) {
            if (!std::exchange(written_, true)) {
                if (fault_ == store_fault::none) error_ = write();
                return driver_.arm(timer_, now + (streams_->delay - streams_->delay / 2));
            }
            if (fault_ == store_fault::none) error_ = execute();
            if (fault_ == store_fault::fails) error_ = std::make_error_code(std::errc::io_error);
            if (fault_ != store_fault::none && fault_ != store_fault::fails) return;
            if (std::exchange(loading_, false)) return client_.on_loaded(error_, error_ ? store_image{} : streams_->image(name_));
            records_.clear();
            client_.on_committed(error_);
        }
        [[nodiscard]] std::error_code write() {
            if (!streams_->open(name_, this)) return errc::locked;
            return streams_->stage(name_, records_, ticket_);
        }
        [[nodiscard]] std::error_code execute() {
            if (!loading_) return error_ ? error_ : streams_->finish(std::exchange(ticket_, 0));
            if (!streams_->open(name_, this)) return errc::locked;
            return streams_->begin_process(name_, fresh_);
        }
        driver& driver_;
        store_client& client_;
        std::shared_ptr<stored_streams> streams_;
        std::string name_;
        session::origin_id fresh_{};
        std::vector<session::record> records_;
        std::uint64_t ticket_ = 0;  // of what is written and not finished
        store_fault fault_ = store_fault::none;
        std::error_code error_;
        bool loading_ = false;
        bool written_ = false;
        timer_node timer_{this, on_timer<&opened::on_done>};
    };

    class catalog final : public store_catalog {
    public:
        catalog(driver& d, catalog_client& client, std::shared_ptr<stored_streams> s)
            : driver_(d), client_(client), streams_(std::move(s)) {}
        void list() override {
            fault_ = streams_->next_fault();
            driver_.arm(timer_, driver_.now() + streams_->delay);
        }
        void erase(std::string name) override { streams_->erase(name); }

    private:
        void on_done(time_point) {
            if (fault_ == store_fault::fails) return client_.on_listed(std::make_error_code(std::errc::io_error), {});
            if (fault_ == store_fault::none) client_.on_listed({}, streams_->sessions());
        }
        driver& driver_;
        catalog_client& client_;
        std::shared_ptr<stored_streams> streams_;
        store_fault fault_ = store_fault::none;
        timer_node timer_{this, on_timer<&catalog::on_done>};
    };

    std::shared_ptr<stored_streams> streams_;
};

static_assert(message_store<durable_store>);

}  // namespace hawser::inline v0::testing
