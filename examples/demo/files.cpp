// SPDX-License-Identifier: BSL-1.0
#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace demo {

namespace {

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

void write_all(int fd, iovec* parts, int count, const std::string& path) {
    while (count > 0) {
        const ssize_t n = ::writev(fd, parts, count);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("cannot write " + path);
        auto left = static_cast<std::size_t>(n);
        for (; count > 0 && left >= parts->iov_len; ++parts, --count)
            left -= parts->iov_len;
        if (count == 0) break;
        parts->iov_base = static_cast<char*>(parts->iov_base) + left;
        parts->iov_len -= left;
    }
}

iovec part(bytes_view b) { return {const_cast<std::byte*>(b.data()), b.size()}; }

// Bytes of the records that are whole: a process that is killed may leave a torn one.
std::size_t whole_records(const std::string& path) {
    const auto content = read_file(path);
    bytes_view rest(content), message;
    while (next_record(rest, message)) {
    }
    return content.size() - rest.size();
}

}  // namespace

descriptor::~descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

appending_file::appending_file(const std::string& path, std::size_t keep)
    : file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)), path_(path) {
    if (file_.get() < 0) fail("cannot open " + path);
    struct stat status{};
    if (::fstat(file_.get(), &status) != 0) fail("cannot look at " + path);
    if (static_cast<std::size_t>(status.st_size) > keep && ::ftruncate(file_.get(), static_cast<off_t>(keep)) != 0)
        fail("cannot shorten " + path);
}

void appending_file::append(bytes_view head, bytes_view body) {
    iovec parts[] = {part(head), part(body)};
    write_all(file_.get(), parts, 2, path_);
}

std::vector<std::byte> read_file(const std::string& path) {
    std::vector<std::byte> content;
    const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) {
        if (errno == ENOENT) return content;
        fail("cannot open " + path);
    }
    struct stat status{};
    if (::fstat(file.get(), &status) == 0) content.reserve(static_cast<std::size_t>(status.st_size) + 1);
    for (;;) {
        const std::size_t at = content.size();
        content.resize(std::max(content.capacity(), at + 4096));
        const ssize_t n = ::read(file.get(), content.data() + at, content.size() - at);
        content.resize(at + static_cast<std::size_t>(n > 0 ? n : 0));
        if (n == 0) return content;
        if (n < 0 && errno != EINTR) fail("cannot read " + path);
    }
}

void write_file(const std::string& path, bytes_view content) {
    const std::string temporary = path + ".new";
    {
        const descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
        if (file.get() < 0) fail("cannot open " + temporary);
        iovec whole = part(content);
        write_all(file.get(), &whole, 1, temporary);
    }
    if (std::rename(temporary.c_str(), path.c_str()) != 0) fail("cannot rename " + temporary);
}

std::vector<ledger_line> read_ledger(const std::string& path) {
    const auto content = read_file(path);
    std::vector<ledger_line> lines(content.size() / sizeof(ledger_line));
    if (!lines.empty()) std::memcpy(lines.data(), content.data(), lines.size() * sizeof(ledger_line));
    return lines;
}

ledger::ledger(const std::string& path) : file_(path, read_ledger(path).size() * sizeof(ledger_line)) {}

void ledger::add(std::uint32_t number, std::uint32_t what) {
    const ledger_line line{number, what};
    file_.append(bytes_of(line));
}

received_file::received_file(const std::string& path) : file_(path, whole_records(path)) {}

void received_file::add(bytes_view message) {
    const auto size = static_cast<std::uint32_t>(message.size());
    file_.append(bytes_of(size), message);
}

}  // namespace demo
