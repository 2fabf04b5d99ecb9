// SPDX-License-Identifier: BSL-1.0
// libwebsockets PORT: an echo server on libwebsockets, one thread, its own event loop. It does not check
// text for UTF-8 unless asked to (LWS_SERVER_OPTION_VALIDATE_UTF8), and is not asked to here.
#include <libwebsockets.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <vector>

namespace {

struct reply {
    std::vector<unsigned char> bytes;  // LWS_PRE bytes of headroom, then the payload
    bool binary;
};

struct peer {
    std::vector<unsigned char> partial;  // a message of which more comes
    std::deque<reply> replies;
};

void receive(lws* wsi, peer& p, const unsigned char* in, std::size_t size) {
    if (p.partial.empty()) {
        p.partial.reserve(LWS_PRE + size + lws_remaining_packet_payload(wsi));
        p.partial.resize(LWS_PRE);
    }
    p.partial.insert(p.partial.end(), in, in + size);
    if (lws_is_final_fragment(wsi) == 0) return;
    p.replies.push_back({std::move(p.partial), lws_frame_is_binary(wsi) != 0});
    p.partial.clear();
    lws_callback_on_writable(wsi);
}

// As many as the system takes; the library keeps what it took of the last one.
int write(lws* wsi, peer& p) {
    while (!p.replies.empty()) {
        reply& r = p.replies.front();
        const std::size_t size = r.bytes.size() - LWS_PRE;
        if (lws_write(wsi, r.bytes.data() + LWS_PRE, size, r.binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT) < 0) return -1;
        p.replies.pop_front();
        if (lws_send_pipe_choked(wsi) == 0) continue;
        if (!p.replies.empty()) lws_callback_on_writable(wsi);
        break;
    }
    return 0;
}

int on_event(lws* wsi, lws_callback_reasons reason, void* user, void* in, std::size_t size) {
    auto* p = static_cast<peer*>(user);
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: ::new (user) peer; return 0;
    case LWS_CALLBACK_CLOSED: std::destroy_at(p); return 0;
    case LWS_CALLBACK_RECEIVE: receive(wsi, *p, static_cast<const unsigned char*>(in), size); return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE: return write(wsi, *p);
    default: return 0;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: libwebsockets PORT\n", stderr);
        return 2;
    }
    lws_set_log_level(LLL_ERR, nullptr);
    lws_protocols protocols[2] = {};
    protocols[0].name = "echo";
    protocols[0].callback = on_event;
    protocols[0].per_session_data_size = sizeof(peer);
    protocols[0].rx_buffer_size = 64 * 1024;
    lws_context_creation_info info = {};
    info.port = std::atoi(argv[1]);
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    info.options = LWS_SERVER_OPTION_DISABLE_IPV6;
    info.pt_serv_buf_size = 256 * 1024;
    lws_context* context = lws_create_context(&info);
    if (context == nullptr) return 1;
    while (lws_service(context, 0) >= 0) {
    }
    lws_context_destroy(context);
}
