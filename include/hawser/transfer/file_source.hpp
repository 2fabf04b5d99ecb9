// SPDX-License-Identifier: BSL-1.0
/// \file
/// A regular file that is sent. POSIX.
#pragma once

#include <hawser/transfer/file_descriptor.hpp>
#include <hawser/transfer/endpoints.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

namespace hawser::inline v0 {

/// Reads a regular file as large as it is when it is opened. If it becomes shorter meanwhile, the transfer fails;
/// what changes within it changes what is sent, if it has not been sent yet.
class file_source final : public transfer_source {
public:
    /// The file is opened when the transfer begins.
    explicit file_source(std::string path) : path_(std::move(path)) {}

    [[nodiscard]] std::error_code open() override {
        file_ = detail::file_descriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        struct stat s {};
        if (!file_ || ::fstat(file_.get(), &s) != 0) return detail::last_error();
        if (!S_ISREG(s.st_mode)) return errc::invalid_argument;
        size_ = static_cast<std::uint64_t>(s.st_size);
        at_ = 0;
        return {};
    }
    [[nodiscard]] std::optional<std::uint64_t> size() const override { return size_; }
    [[nodiscard]] bool seekable() const noexcept override { return true; }
    [[nodiscard]] std::error_code seek(std::uint64_t offset) override {
        at_ = offset;
        return {};
    }
    [[nodiscard]] std::size_t read(byte_span into, std::error_code& ec) override {
        const std::size_t n = detail::read_at(file_.get(), into, at_, ec);
        at_ += n;
        return n;
    }

private:
    std::string path_;
    detail::file_descriptor file_;
    std::uint64_t size_ = 0;
    std::uint64_t at_ = 0;
};

}  // namespace hawser::inline v0
