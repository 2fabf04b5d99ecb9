// SPDX-License-Identifier: BSL-1.0
/// \file
/// How completions post to the executors that most handlers have.
#pragma once

#include <hawser/link/completion.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/post.hpp>

#include <utility>

namespace hawser::inline v0::detail {

HAWSER_COMPILED_ONCE void post_call(const driver::executor_type& executor, posted_call&& c) { asio::post(executor, std::move(c)); }
HAWSER_COMPILED_ONCE void post_call(const asio::any_io_executor& executor, posted_call&& c) { asio::post(executor, std::move(c)); }

}  // namespace hawser::inline v0::detail
