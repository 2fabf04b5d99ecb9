// SPDX-License-Identifier: BSL-1.0
#include "input.hpp"

#include <hawser/policy/random.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <stdexcept>

namespace demo {

namespace fs = std::filesystem;

namespace {

std::string bytes_path(const settings& s) { return s.directory + "/input.bytes"; }
std::string starts_path(const settings& s) { return s.directory + "/input.pieces"; }

// In a fixed order, so that the same seed means the same messages.
std::vector<fs::path> files_of(const fs::path& folder) {
    std::vector<fs::path> found;
    const auto options = fs::directory_options::skip_permission_denied;
    for (auto it = fs::recursive_directory_iterator(folder, options); it != fs::recursive_directory_iterator(); ++it) {
        const std::string name = it->path().filename().string();
        if (it->is_directory() && (name.starts_with(".") || name == "build"))
            it.disable_recursion_pending();
        else if (it->is_regular_file() && !name.starts_with("."))
            found.push_back(it->path());
    }
    std::sort(found.begin(), found.end());
    return found;
}

// Each order of magnitude is as likely as the next: many small messages, some large ones.
std::size_t draw_size(hawser::xoshiro256& random) {
    const double share = static_cast<double>(random() >> 11) * 0x1p-53;
    const double size = std::exp(share * std::log(static_cast<double>(input::max_piece) + 1));
    return std::clamp<std::size_t>(static_cast<std::size_t>(size), 1, input::max_piece);
}

}  // namespace

snapshot_size make_snapshot(const settings& s, const std::string& path) {
    std::error_code ec;
    const bool folder = fs::is_directory(path, ec);
    if (!folder && !fs::exists(path, ec))
        throw std::invalid_argument("--input is '" + path + "', but must be a file or a folder that exists");
    snapshot_size result;
    std::vector<std::byte> bytes;
    std::vector<std::uint32_t> starts;
    hawser::xoshiro256 random(s.seed);
    for (const auto& file : folder ? files_of(path) : std::vector<fs::path>{path}) {
        auto content = read_file(file.string());
        content.resize(std::min(content.size(), input::max_bytes - bytes.size()));
        if (content.empty()) continue;
        ++result.files;
        for (std::size_t at = 0; at < content.size(); at += draw_size(random))
            starts.push_back(static_cast<std::uint32_t>(bytes.size() + at));
        bytes.insert(bytes.end(), content.begin(), content.end());
    }
    if (bytes.empty()) throw std::invalid_argument("--input is '" + path + "', but must contain at least one byte");
    result.bytes = bytes.size();
    result.pieces = starts.size();
    starts.push_back(static_cast<std::uint32_t>(bytes.size()));
    write_file(bytes_path(s), bytes);
    write_file(starts_path(s), std::as_bytes(std::span(starts)));
    return result;
}

input::input(const settings& s) : bytes_(read_file(bytes_path(s))), messages_(s.messages) {
    const auto raw = read_file(starts_path(s));
    starts_.resize(raw.size() / sizeof(std::uint32_t));
    if (starts_.size() < 2) throw std::runtime_error("there is no input in " + s.directory);
    std::memcpy(starts_.data(), raw.data(), starts_.size() * sizeof(std::uint32_t));
}

bytes_view input::piece(std::uint32_t sender, std::uint32_t number) const noexcept {
    const std::size_t i = (std::size_t{sender} * messages_ + number - 1) % (starts_.size() - 1);
    return bytes_view(bytes_).subspan(starts_[i], starts_[i + 1] - starts_[i]);
}

message_head input::head(std::uint32_t sender, std::uint32_t number) const noexcept {
    const auto p = piece(sender, number);
    return {number, sender, p.size(), hawser::xxh3_64(p)};
}

hawser::message input::message(std::uint32_t sender, std::uint32_t number) const {
    const auto p = piece(sender, number);
    const auto h = head(sender, number);
    auto m = hawser::message::allocate(sizeof h + p.size(), hawser::message_kind::binary);
    std::memcpy(m.writable().data(), &h, sizeof h);
    std::memcpy(m.writable().data() + sizeof h, p.data(), p.size());
    return m;
}

std::string find_project() {
    std::error_code ec;
    for (fs::path at = fs::read_symlink("/proc/self/exe", ec).parent_path(); !at.empty(); at = at.parent_path()) {
        if (fs::exists(at / "include/hawser/hawser.hpp", ec)) return at.string();
        if (at == at.root_path()) break;
    }
    return {};
}

}  // namespace demo
