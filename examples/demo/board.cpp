// SPDX-License-Identifier: BSL-1.0
#include "board.hpp"

#include "files.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace demo {

// A new file is all zero, which is what a new board is.
shared_board::shared_board(const settings& s) {
    const std::string path = s.directory + "/board";
    const descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    void* memory = MAP_FAILED;
    if (file.get() >= 0 && ::ftruncate(file.get(), sizeof(board)) == 0)
        memory = ::mmap(nullptr, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "cannot map " + path);
    board_ = static_cast<board*>(memory);
}

shared_board::~shared_board() { ::munmap(board_, sizeof(board)); }

void show_metrics(const hawser::counting_metrics& metrics, party& p) {
    using hawser::counter;
    const auto show = [&](shared_count& where, counter c) { where.store(metrics.value(c), std::memory_order_relaxed); };
    show(p.reconnects, counter::reconnects);
    show(p.sessions_resumed, counter::sessions_resumed);
    show(p.sessions_lost, counter::session_resumes_failed);
    show(p.heartbeat_timeouts, counter::heartbeat_timeouts);
    show(p.duplicates_dropped, counter::duplicates_dropped);
    show(p.protocol_errors, counter::protocol_errors);
    show(p.breaker_opened, counter::breaker_opened);
}

}  // namespace demo
