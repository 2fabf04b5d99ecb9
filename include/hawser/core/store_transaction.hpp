// SPDX-License-Identifier: BSL-1.0
/// \file
/// What an application does together with the receive position of its session, or not at all.
#pragma once

#include <hawser/core/config.hpp>

#include <functional>
#include <system_error>

namespace hawser::inline v0 {

/// A transaction of a store that is under way. Each store derives its own, which gives access to
/// what the application may change in it.
class store_transaction {
public:
    store_transaction(const store_transaction&) = delete;
    store_transaction& operator=(const store_transaction&) = delete;

protected:
    store_transaction() = default;
    ~store_transaction() = default;
};

/// Runs where the store runs its transactions, which may be another thread. With an error, or an
/// exception, nothing of the commit that it belongs to happens. A commit that failed for another
/// reason undoes it; it may run again in a later process.
using store_effect = std::function<std::error_code(store_transaction&)>;

}  // namespace hawser::inline v0
