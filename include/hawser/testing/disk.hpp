// SPDX-License-Identifier: BSL-1.0
/// \file
/// A simulated disk: what a crash leaves of files that were not synchronised.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/policy/random.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <system_error>
#include <vector>

namespace hawser::inline v0::testing {

/// The files of one machine. Writes are seen by later reads at once, and survive a crash only
/// once `sync` has succeeded; what was written after it survives in part: any sector of it
/// (512 bytes) may be new or old, independently of the others, as no order is promised.
/// Thread safety: none.
class disk {
public:
    static constexpr std::size_t sector = 512;  ///< bytes that a loss of power leaves old or new as a whole

    /// Empty; the seed decides what a loss of power leaves.
    explicit disk(std::uint64_t seed) : rng_(seed) {}

    // ---- faults --------------------------------------------------------------------------------

    std::uint64_t capacity = std::uint64_t{1} << 40;  ///< bytes of all files; beyond it ENOSPC
    bool sync_fails = false;     ///< EIO; what was to be synchronised stays at risk for ever
    bool short_writes = false;   ///< a write may take only a part

    /// Flips one bit of a file, where it has any.
    void flip_bit(const std::string& name) {
        auto& f = files_[name];
        if (f.now.empty()) return;
        const std::uint64_t bit = uniform(rng_, 0, f.now.size() * 8 - 1);
        f.now[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        if (bit / 8 < f.safe.size()) f.safe[bit / 8] = f.now[bit / 8];
    }
    /// The machine loses power: each file becomes what happened to reach the disk.
    void crash() {
        for (auto& [name, f] : files_) {
            const std::size_t sectors = (std::max(f.now.size(), f.safe.size()) + sector - 1) / sector;
            // The length, too, is old or new; a new length may come before the bytes.
            byte_vector image(uniform(rng_, 0, 1) == 0 ? f.safe.size() : f.now.size(), std::byte{0});
            for (std::size_t s = 0; s < sectors; ++s) {
                const byte_vector& from = uniform(rng_, 0, 1) == 0 ? f.safe : f.now;
                copy_sector(from, image, s);
            }
            f.now = f.safe = std::move(image);
        }
        std::erase_if(files_, [](const auto& entry) { return entry.second.now.empty() && !entry.second.created_safely; });
    }

    // ---- for stores ----------------------------------------------------------------------------

    /// Whether there is such a file.
    [[nodiscard]] bool exists(const std::string& name) const { return files_.contains(name); }
    /// All bytes of a file, as the process sees them.
    [[nodiscard]] byte_view read(const std::string& name) const {
        const auto f = files_.find(name);
        return f == files_.end() ? byte_view{} : byte_view(f->second.now);
    }
    /// Writes at `offset`, extending the file; returns how many bytes were taken.
    /// Errors: no_space_on_device, with nothing written.
    std::size_t write(const std::string& name, std::size_t offset, byte_view bytes, std::error_code& ec) {
        ec = {};
        file& f = files_[name];
        std::size_t n = bytes.size();
        if (short_writes && n > 1) n = static_cast<std::size_t>(uniform(rng_, 1, n));
        const std::size_t grown = std::max(f.now.size(), offset + n) - f.now.size();
        if (used() + grown > capacity) {
            ec = std::make_error_code(std::errc::no_space_on_device);
            return 0;
        }
        f.now.resize(f.now.size() + grown);
        std::copy_n(bytes.begin(), n, f.now.begin() + static_cast<std::ptrdiff_t>(offset));
        return n;
    }
    /// Changes the length; new bytes are zero.
    void truncate(const std::string& name, std::size_t size) { files_[name].now.resize(size); }
    /// The file is gone at once, also for a loss of power.
    void remove(const std::string& name) { files_.erase(name); }
    /// Makes all bytes of the file durable. Errors: io_error, and nothing became durable.
    [[nodiscard]] std::error_code sync(const std::string& name) {
        if (sync_fails) return std::make_error_code(std::errc::io_error);
        file& f = files_[name];
        f.safe = f.now;
        f.created_safely = true;
        return {};
    }
    /// Bytes in all files.
    [[nodiscard]] std::uint64_t used() const noexcept {
        std::uint64_t sum = 0;
        for (const auto& [name, f] : files_) sum += f.now.size();
        return sum;
    }

private:
    struct file {
        byte_vector now;   // what reads see
        byte_vector safe;  // what was synchronised
        bool created_safely = false;
    };
    static void copy_sector(const byte_vector& from, byte_vector& to, std::size_t s) {
        const std::size_t begin = s * sector;
        const std::size_t end = std::min({begin + sector, from.size(), to.size()});
        if (begin < end)
            std::copy(from.begin() + static_cast<std::ptrdiff_t>(begin), from.begin() + static_cast<std::ptrdiff_t>(end),
                      to.begin() + static_cast<std::ptrdiff_t>(begin));
    }
    xoshiro256 rng_;
    std::map<std::string, file> files_;
};

}  // namespace hawser::inline v0::testing
