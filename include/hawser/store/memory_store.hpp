// SPDX-License-Identifier: BSL-1.0
/// \file
/// The default store: the session's own memory, nothing beyond it.
#pragma once

#include <hawser/store/store.hpp>

namespace hawser::inline v0 {

/// Keeps nothing: what a socket knows lives as long as the socket. Each operation completes
/// at the end of the present turn.
class memory_store {
public:
    static constexpr bool durable = false;        ///< ends with the process
    static constexpr bool keeps_records = false;  ///< the order of commits is all it looks at
    static constexpr bool commits_nothing = true; ///< no commit is waited for

    using transaction = store_transaction;        ///< nothing can be done in it

    /// The store of one socket. One allocation; afterwards none.
    [[nodiscard]] std::unique_ptr<opened_store> open(driver& d, store_client& client, std::string_view) {
        return std::make_unique<opened>(d, client);
    }
    /// Empty: nothing survives.
    [[nodiscard]] std::unique_ptr<store_catalog> open_catalog(driver& d, catalog_client& client) {
        return std::make_unique<catalog>(d, client);
    }

private:
    class opened final : public opened_store, deferred_task {
    public:
        opened(driver& d, store_client& client) noexcept : driver_(d), client_(client) {}
        void load(const session::origin_id& fresh) override {
            origin_ = fresh;
            loading_ = true;
            driver_.defer(*this);
        }
        void commit(std::vector<session::record>) override {
            committing_ = true;
            driver_.defer(*this);
        }

    private:
        void run() override {
            // One at a time, as the client may destroy this store.
            if (std::exchange(loading_, false)) {
                if (committing_) driver_.defer(*this);
                return client_.on_loaded({}, {.origin = origin_});
            }
            if (std::exchange(committing_, false)) client_.on_committed({});
        }
        driver& driver_;
        store_client& client_;
        session::origin_id origin_{};
        bool loading_ = false;
        bool committing_ = false;
    };

    class catalog final : public store_catalog, deferred_task {
    public:
        catalog(driver& d, catalog_client& client) noexcept : driver_(d), client_(client) {}
        void list() override { driver_.defer(*this); }
        void erase(std::string) override {}

    private:
        void run() override { client_.on_listed({}, {}); }
        driver& driver_;
        catalog_client& client_;
    };
};

static_assert(message_store<memory_store> && commits_nothing<memory_store>);

}  // namespace hawser::inline v0
