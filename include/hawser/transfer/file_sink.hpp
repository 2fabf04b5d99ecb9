// SPDX-License-Identifier: BSL-1.0
/// \file
/// A file that is received: temporary until it is complete. POSIX.
#pragma once

#include <hawser/transfer/file_descriptor.hpp>
#include <hawser/transfer/file_name.hpp>
#include <hawser/transfer/options.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

namespace hawser::inline v0 {

/// What becomes of a received file whose name is taken.
enum class existing_file : std::uint8_t {
    rename,   ///< "name (1).ext", up to 999
    replace,  ///< it takes the older file's place, atomically
    refuse,   ///< refused when offered; an error if it has come into being meanwhile
};
/// When the part of a file that arrived is kept, to go on with when it is offered again.
enum class partial_file : std::uint8_t {
    when_interrupted,  ///< when the session is over
    unless_wrong,      ///< also when it was cancelled or the disk was full; not if its digest is wrong
    removed,           ///< a transfer begins anew with each session
};

/// Where files are received.
struct folder_options {
    std::string path;                                      ///< an existing folder
    existing_file on_existing = existing_file::rename;     ///< a file of this name is there
    partial_file keep_partial = partial_file::when_interrupted;  ///< temporary files that are not complete
    unsigned mode = 0666;                                  ///< permissions of a file, less the umask
};

/// Receives into `PATH/.NAME.KEY.part`, locked against others; complete, correct and synchronised, it gets its name.
class file_sink final : public transfer_sink {
public:
    /// `name` has no problem (`file_name_problem`).
    file_sink(folder_options where, const transfer_offer& o, std::string name)
        : where_(std::move(where)), name_(std::move(name)), size_(o.size) {
        for (std::size_t i = 0; i < 8; ++i) {
            char hex[3];
            (void)std::snprintf(hex, sizeof hex, "%02x", std::to_integer<unsigned>(o.key[i]));
            key_ += hex;
        }
    }
    ~file_sink() override {
        if (file_) give_up(transfer_end::interrupted);
    }

    [[nodiscard]] std::uint64_t open(std::error_code& ec) override {
        for (int n = 0; n < max_candidates; ++n) {
            temporary_ = where_.path + "/." + name_ + "." + key_ + (n == 0 ? "" : "-" + std::to_string(n)) + ".part";
            ec = take(O_CREAT);
            if (ec != std::errc::resource_unavailable_try_again) break;
        }
        if (!ec) ec = check_room();
        return ec ? 0 : size_of_file();
    }
    [[nodiscard]] std::size_t reread(byte_span into, std::error_code& ec) override {
        const std::size_t n = detail::read_at(file_.get(), into, at_, ec);
        at_ += n;
        return n;
    }
    [[nodiscard]] std::error_code begin(std::uint64_t from) override {
        at_ = from;
        return ::ftruncate(file_.get(), static_cast<off_t>(from)) == 0 ? std::error_code{} : detail::last_error();
    }
    [[nodiscard]] std::error_code write(byte_view bytes) override {
        const auto ec = detail::write_at(file_.get(), bytes, at_);
        if (!ec) at_ += bytes.size();
        return ec;
    }
    [[nodiscard]] std::error_code commit() override {
        if (::fsync(file_.get()) != 0) return detail::last_error();
        if (const auto ec = name_it()) return ec;
        file_.reset();
        const detail::file_descriptor folder(::open(where_.path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
        if (!folder || ::fsync(folder.get()) != 0) return detail::last_error();
        return {};
    }
    void give_up(transfer_end how) noexcept override {
        const bool keep = how == transfer_end::interrupted ? where_.keep_partial != partial_file::removed
                          : how == transfer_end::failed    ? where_.keep_partial == partial_file::unless_wrong
                                                           : false;
        if (!keep && !file_ && !temporary_.empty()) (void)attach();
        // Not held: it may be somebody else's by now.
        if (file_ && (!keep || at_ == 0)) (void)::unlink(temporary_.c_str());
        file_.reset();
    }
    void detach() noexcept override {
        if (::fstat(file_.get(), &left_) == 0) file_.reset();
    }
    [[nodiscard]] std::error_code attach() override {
        if (file_) return {};
        if (const auto ec = take(0)) return ec;
        struct stat now {};
        const bool same = ::fstat(file_.get(), &now) == 0 && now.st_ino == left_.st_ino && now.st_size == left_.st_size &&
                          now.st_mtim.tv_sec == left_.st_mtim.tv_sec && now.st_mtim.tv_nsec == left_.st_mtim.tv_nsec;
        if (same) return {};
        file_.reset();
        return errc::transfer_interrupted;
    }
    [[nodiscard]] std::string place() const override { return place_; }

private:
    static constexpr int max_candidates = 16;
    static constexpr int max_renames = 1000;

    // Opens and locks the temporary file. `resource_unavailable_try_again`: somebody else has it.
    [[nodiscard]] std::error_code take(int flags) {
        for (;;) {
            file_ = detail::file_descriptor(::open(temporary_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, where_.mode));
            if (!file_) return detail::last_error();
            if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
                const auto ec = detail::last_error();
                file_.reset();
                return ec;
            }
            struct stat mine {}, named {};
            if (::fstat(file_.get(), &mine) != 0) return detail::last_error();
            if (::stat(temporary_.c_str(), &named) == 0 && named.st_ino == mine.st_ino) return {};
            file_.reset();  // it was finished or removed just before the lock was free
            if ((flags & O_CREAT) == 0) return errc::transfer_interrupted;
        }
    }
    [[nodiscard]] std::uint64_t size_of_file() const noexcept {
        struct stat s {};
        return ::fstat(file_.get(), &s) == 0 ? static_cast<std::uint64_t>(s.st_size) : 0;
    }
    // Better now than after most of it.
    [[nodiscard]] std::error_code check_room() const noexcept {
        struct statvfs s {};
        if (!size_ || ::fstatvfs(file_.get(), &s) != 0) return {};
        const std::uint64_t kept = size_of_file(), room = std::uint64_t{s.f_bavail} * s.f_frsize;
        return *size_ > kept && *size_ - kept > room ? std::make_error_code(std::errc::no_space_on_device) : std::error_code{};
    }
    [[nodiscard]] std::error_code name_it() {
        if (where_.on_existing == existing_file::replace) {
            place_ = where_.path + "/" + name_;
            return ::rename(temporary_.c_str(), place_.c_str()) == 0 ? std::error_code{} : detail::last_error();
        }
        const std::size_t dot = name_.rfind('.');
        for (int n = 0; n < (where_.on_existing == existing_file::refuse ? 1 : max_renames); ++n) {
            std::string name = name_;
            if (n > 0) name.insert(dot == std::string::npos ? name.size() : dot, " (" + std::to_string(n) + ")");
            place_ = where_.path + "/" + name;
            if (name_new(place_)) return {};
            if (errno != EEXIST) return detail::last_error();
        }
        return std::make_error_code(std::errc::file_exists);
    }

    // Never takes the place of a file that is there, as `rename` does. False, with errno, if not.
    [[nodiscard]] bool name_new(const std::string& place) const noexcept {
#if defined(RENAME_NOREPLACE)
        if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, place.c_str(), RENAME_NOREPLACE) == 0) return true;
        if (errno != EINVAL && errno != ENOSYS) return false;  // else the file system does not know how
#endif
        return ::link(temporary_.c_str(), place.c_str()) == 0 && ::unlink(temporary_.c_str()) == 0;
    }

    folder_options where_;
    std::string name_;
    std::optional<std::uint64_t> size_;
    std::string key_;
    std::string temporary_;
    std::string place_;
    detail::file_descriptor file_;
    std::uint64_t at_ = 0;
    struct stat left_ {};
};

/// For `transfer_options::on_offer`: receives into a folder. Names with a problem (`file_name_problem`) are refused.
[[nodiscard]] inline std::function<std::unique_ptr<transfer_sink>(const transfer_offer&, std::string&)> receive_into(
    folder_options where) {
    return [where = std::move(where)](const transfer_offer& o, std::string& why) -> std::unique_ptr<transfer_sink> {
        why = file_name_problem(o.name);
        if (!why.empty()) return nullptr;
        if (where.on_existing == existing_file::refuse && ::access((where.path + "/" + o.name).c_str(), F_OK) == 0) {
            why = "there is a file of this name";
            return nullptr;
        }
        return std::make_unique<file_sink>(where, o, o.name);
    };
}

}  // namespace hawser::inline v0
