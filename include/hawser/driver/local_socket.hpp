// SPDX-License-Identifier: BSL-1.0
/// \file
/// Sockets in the file system (AF_UNIX). Asio's TCP sockets carry their descriptors: what they call for a connected
/// or listening stream socket is the same, and their protocol matters only when they open one.
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/driver/socket_calls.hpp>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#if !defined(_WIN32)
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#endif

namespace hawser::inline v0::detail {

#if !defined(_WIN32)

[[nodiscard]] inline std::error_code last_system_error() noexcept { return {errno, std::system_category()}; }

/// Closes its descriptor unless that was released.
struct owned_descriptor {
    explicit owned_descriptor(int d) noexcept : value(d) {}
    owned_descriptor(const owned_descriptor&) = delete;
    owned_descriptor& operator=(const owned_descriptor&) = delete;
    ~owned_descriptor() {
        if (value >= 0) (void)::close(value);
    }
    int release() noexcept { return std::exchange(value, -1); }
    int value;
};

[[nodiscard]] inline int open_local_socket() noexcept {
#if defined(SOCK_CLOEXEC)
    return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (descriptor >= 0) {
        (void)::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
        (void)::fcntl(descriptor, F_SETFL, O_NONBLOCK);
    }
    return descriptor;
#endif
}

struct local_address {
    explicit local_address(const std::string& path) noexcept {
        value.sun_family = AF_UNIX;
        fits = path.size() < sizeof value.sun_path;
        if (fits) std::memcpy(value.sun_path, path.c_str(), path.size() + 1);
    }
    [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&value); }
    sockaddr_un value{};
    bool fits;
};

template <class Socket>
[[nodiscard]] std::error_code assign_local(Socket& socket, owned_descriptor& descriptor) {
    std::error_code ec;
    socket.assign(asio::ip::tcp::v4(), descriptor.value, ec);
    if (!ec) descriptor.release();
    return ec;
}

/// Connects at once: the system does not let a caller wait for a socket file.
[[nodiscard]] inline std::error_code connect_local_socket(tcp_socket& socket, const std::string& path) {
    const local_address where(path);
    if (!where.fits) return std::make_error_code(std::errc::filename_too_long);
    owned_descriptor descriptor(open_local_socket());
    if (descriptor.value < 0) return last_system_error();
    if (::connect(descriptor.value, where.get(), sizeof where.value) != 0) return last_system_error();
    return assign_local(socket, descriptor);
}

/// The file of a listening socket. Removes it at the end, if it is still the same and this the process that made it.
class local_socket_file {
public:
    local_socket_file() = default;
    local_socket_file(const local_socket_file&) = delete;
    local_socket_file& operator=(const local_socket_file&) = delete;
    ~local_socket_file() { remove(); }
    void remove() noexcept {
        struct stat now{};
        const std::string path = std::exchange(path_, {});
        if (path.empty() || ::getpid() != maker_ || ::lstat(path.c_str(), &now) != 0) return;
        if (now.st_dev == device_ && now.st_ino == inode_) (void)::unlink(path.c_str());
    }
    /// A file that nobody listens on any more is replaced; one that is in use, or is no socket, is `address_in_use`.
    template <class Acceptor>
    [[nodiscard]] std::error_code listen(Acceptor& acceptor, const std::string& path, unsigned permissions, int backlog) {
        const local_address where(path);
        if (!where.fits) return std::make_error_code(std::errc::filename_too_long);
        owned_descriptor descriptor(open_local_socket());
        if (descriptor.value < 0) return last_system_error();
        // On Linux the file is made with these, less the umask; elsewhere a moment passes until `chmod`.
        (void)::fchmod(descriptor.value, static_cast<mode_t>(permissions));
        if (::bind(descriptor.value, where.get(), sizeof where.value) != 0) {
            if (errno != EADDRINUSE || !remove_stale(where, path)) return last_system_error();
            if (::bind(descriptor.value, where.get(), sizeof where.value) != 0) return last_system_error();
        }
        remember(path);
        if (::chmod(path.c_str(), static_cast<mode_t>(permissions)) != 0) return last_system_error();
        if (::listen(descriptor.value, backlog) != 0) return last_system_error();
        return assign_local(acceptor, descriptor);
    }

private:
    [[nodiscard]] static bool remove_stale(const local_address& where, const std::string& path) noexcept {
        struct stat file{};
        const bool is_socket = ::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode);
        const owned_descriptor probe(is_socket ? open_local_socket() : -1);
        const bool stale = probe.value >= 0 && ::connect(probe.value, where.get(), sizeof where.value) != 0 && errno == ECONNREFUSED;
        if (stale && ::unlink(path.c_str()) == 0) return true;
        errno = EADDRINUSE;
        return false;
    }
    void remember(const std::string& path) {
        struct stat made{};
        if (::lstat(path.c_str(), &made) != 0) return;
        device_ = made.st_dev;
        inode_ = made.st_ino;
        maker_ = ::getpid();
        path_ = path;
    }

    std::string path_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    pid_t maker_ = 0;
};

#else

[[nodiscard]] inline std::error_code connect_local_socket(tcp_socket&, const std::string&) {
    return std::make_error_code(std::errc::operation_not_supported);
}
struct local_socket_file {
    void remove() noexcept {}
    template <class Acceptor>
    [[nodiscard]] std::error_code listen(Acceptor&, const std::string&, unsigned, int) {
        return std::make_error_code(std::errc::operation_not_supported);
    }
};

#endif

}  // namespace hawser::inline v0::detail
