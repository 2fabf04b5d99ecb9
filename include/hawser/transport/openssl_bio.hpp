// SPDX-License-Identifier: BSL-1.0
/// \file
/// Where OpenSSL reads ciphertext from and writes it to.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/transport/openssl_handles.hpp>

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace hawser::inline v0::detail {

/// Both ends of one `SSL`: what came in and is not decrypted yet, without a copy, and what is to go out.
struct ssl_wire {
    byte_view input;
    byte_vector output;
    std::size_t written = 0;  // of `output`
    bool out_of_memory = false;

    [[nodiscard]] byte_view unwritten() const noexcept { return byte_view(output).subspan(written); }
};

// No exception may pass through OpenSSL.
inline int ssl_bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* done) noexcept {
    auto& wire = *static_cast<ssl_wire*>(BIO_get_data(bio));
    try {
        append(wire.output, as_bytes({data, size}));
    } catch (...) {
        wire.out_of_memory = true;
        return 0;
    }
    *done = size;
    return 1;
}
inline int ssl_bio_read(BIO* bio, char* data, std::size_t size, std::size_t* done) noexcept {
    auto& wire = *static_cast<ssl_wire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (wire.input.empty()) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *done = std::min(size, wire.input.size());
    std::memcpy(data, wire.input.data(), *done);
    wire.input = wire.input.subspan(*done);
    return 1;
}
inline long ssl_bio_control(BIO*, int command, long, void*) noexcept { return command == BIO_CTRL_FLUSH ? 1 : 0; }

/// Null when memory is short. `wire` must outlive it.
[[nodiscard]] inline bio_ptr make_ssl_bio(ssl_wire& wire) noexcept {
    // Never freed: a stream may end after static objects have.
    static BIO_METHOD* const method = [] {
        BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hawser stream");
        if (m) {
            BIO_meth_set_write_ex(m, ssl_bio_write);
            BIO_meth_set_read_ex(m, ssl_bio_read);
            BIO_meth_set_ctrl(m, ssl_bio_control);
        }
        return m;
    }();
    if (!method) return nullptr;
    bio_ptr bio(BIO_new(method));
    if (!bio) return nullptr;
    BIO_set_data(bio.get(), &wire);
    BIO_set_init(bio.get(), 1);
    return bio;
}

/// A buffer for plaintext, the thread's own: borrowed while a read is decrypted, so connections that
/// are idle need none. One that is borrowed inside the use of another is another one.
class plain_buffer {
public:
    static constexpr std::size_t size = 64 * 1024;

    plain_buffer() {
        auto& unused = spare();
        if (unused.empty()) {
            bytes_ = std::make_unique_for_overwrite<std::byte[]>(size);
        } else {
            bytes_ = std::move(unused.back());
            unused.pop_back();
        }
    }
    plain_buffer(const plain_buffer&) = delete;
    plain_buffer& operator=(const plain_buffer&) = delete;
    ~plain_buffer() {
        auto& unused = spare();
        if (unused.size() < unused.capacity()) unused.push_back(std::move(bytes_));
    }
    [[nodiscard]] byte_span all() const noexcept { return {bytes_.get(), size}; }

private:
    using list = std::vector<std::unique_ptr<std::byte[]>>;
    static list& spare() {
        thread_local list buffers = [] {
            list l;
            l.reserve(2);
            return l;
        }();
        return buffers;
    }
    std::unique_ptr<std::byte[]> bytes_;
};

}  // namespace hawser::inline v0::detail
