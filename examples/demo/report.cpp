// SPDX-License-Identifier: BSL-1.0
#include "report.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace demo {

namespace {

using ull = unsigned long long;

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
    char text[400];
    va_list arguments;
    va_start(arguments, pattern);
    std::vsnprintf(text, sizeof text, pattern, arguments);
    va_end(arguments);
    return text;
}

std::string bar(double share, std::size_t width) {
    const auto full = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(width));
    return std::string(full, '#') + std::string(width - full, '.');
}

std::string links(std::uint64_t up, std::uint64_t all) {
    if (all > 60) return bar(static_cast<double>(up) / static_cast<double>(all), 60);
    return std::string(std::min(up, all), '|') + std::string(all - std::min(up, all), '.');
}

constexpr auto at(cut_class c) { return static_cast<std::size_t>(c); }

}  // namespace

totals sum(const board& b, std::uint32_t processes) {
    totals t;
    const auto add = [&](const party& p) {
        t.handed += p.handed, t.decided += p.decided, t.acknowledged += p.acknowledged, t.unknown += p.unknown;
        t.received += p.received, t.reconnects += p.reconnects, t.heartbeat_timeouts += p.heartbeat_timeouts;
        t.duplicates_dropped += p.duplicates_dropped, t.protocol_errors += p.protocol_errors;
    };
    add(b.server);
    for (std::uint32_t i = 0; i < processes; ++i) {
        const party& p = b.clients[i];
        add(p);
        // Both ends count these; the client's view is the one that is shown.
        t.links_up += p.links_up, t.resumed += p.sessions_resumed, t.sessions_lost += p.sessions_lost;
        t.breaker_opened += p.breaker_opened;
    }
    return t;
}

progress::progress(const run_options& o) : options_(o), terminal_(::isatty(STDERR_FILENO) != 0) {}

void progress::show(const board& b, const totals& t, const char* phase) {
    const auto now = clock::now();
    if (now < next_) return;
    next_ = now + (terminal_ ? 100ms : 1000ms);
    if (!terminal_) {
        const double seconds = std::chrono::duration<double>(now - started_).count();
        std::fprintf(stderr,
                     "%5.1f s  %s: %llu of %u links up, %llu sent, %llu delivered, %llu reconnects, %llu cuts\n",
                     seconds, phase, ull(t.links_up), options_.common.clients, ull(t.handed), ull(t.received),
                     ull(t.reconnects), ull(b.cuts[0] + b.cuts[1] + b.cuts[2] + b.cuts[3] + b.cuts[4]));
        return;
    }
    if (drawn_ != 0) std::fprintf(stderr, "\033[%zuA", drawn_);
    const auto lines = block(b, t, phase);
    for (const auto& line : lines)
        std::fprintf(stderr, "\033[2K%s\n", line.c_str());
    drawn_ = lines.size();
}

std::vector<std::string> progress::block(const board& b, const totals& t, const char* phase) const {
    const settings& s = options_.common;
    const double all = 2.0 * s.clients * s.messages;
    const double seconds = std::chrono::duration<double>(clock::now() - started_).count();
    const auto cuts = [&](cut_class c) { return ull(b.cuts[at(c)].load()); };
    const auto kinds = [&](cut_kind k) { return ull(b.kinds[static_cast<std::size_t>(k)].load()); };
    return {
        format("  %6.1f s    %s", seconds, phase),
        format("  links      %s  %llu up, %llu down", links(t.links_up, s.clients).c_str(), ull(t.links_up),
               ull(s.clients - std::min<std::uint64_t>(t.links_up, s.clients))),
        format("  sent       [%s] %llu", bar(static_cast<double>(t.handed) / all, 40).c_str(), ull(t.handed)),
        format("  delivered  [%s] %llu", bar(static_cast<double>(t.received) / all, 40).c_str(), ull(t.received)),
        format("  sessions   %llu reconnects, %llu resumed, %llu given up; breaker opened %llu times",
               ull(t.reconnects), ull(t.resumed), ull(t.sessions_lost), ull(t.breaker_opened)),
        format("  cuts       %llu in a frame, %llu in the handshake, %llu between data and ack, %llu during resume, "
               "%llu other",
               cuts(cut_class::in_frame), cuts(cut_class::in_handshake), cuts(cut_class::between_data_and_ack),
               cuts(cut_class::during_resume), cuts(cut_class::other)),
        format("  by         %llu resets, %llu closes, %llu half-open, %llu stalls", kinds(cut_kind::reset),
               kinds(cut_kind::close), kinds(cut_kind::half_open), kinds(cut_kind::stall) + ull(b.stalls.load())),
    };
}

void progress::finish() { drawn_ = 0; }

void print_summary(const run_options& o, const result& r) {
    std::FILE* to = o.json ? stderr : stdout;
    const auto row = [&](const char* name, std::uint64_t n, const char* what) {
        std::fprintf(to, "  %-25s %8llu  %s\n", name, ull(n), what);
    };
    std::fprintf(to, "\n  %u clients, %u messages from and to each, seed %llu, %.1f s%s\n\n", o.common.clients,
                 o.common.messages, ull(o.common.seed), r.seconds,
                 o.server_restart ? ", server killed and started again" : "");
    row("sent", r.sent, "accepted for sending, both directions");
    row("acknowledged", r.acknowledged, "the sender was told that it arrived");
    row("delivered", r.delivered, "intact in the receiver's file");
    row("unknown", r.unknown, o.server_restart ? "the sender was told that nobody can tell" : "must be 0");
    row("lost", r.lost, "must be 0");
    row("duplicated", r.duplicated, "must be 0");
    row("out of order", r.out_of_order, "must be 0");
    row("corrupted", r.corrupted, "must be 0");
    std::fprintf(to, "\n");
    for (std::size_t i = 0; i < r.cuts.size(); ++i) {
        std::string name(cut_class_names[i]);
        std::replace(name.begin(), name.end(), '_', ' ');
        row(("cut " + name).c_str(), r.cuts[i], i == 0 ? "TCP connect to WELCOME" : "");
    }
    std::fprintf(to, "  %-25s %8llu  resets %llu, closes %llu, half-open %llu, stalls %llu; %llu stalls survived\n",
                 "cuts in all", ull(r.cuts[0] + r.cuts[1] + r.cuts[2] + r.cuts[3] + r.cuts[4]), ull(r.kinds[0]),
                 ull(r.kinds[1]), ull(r.kinds[2]), ull(r.kinds[3]), ull(r.stalls));
    std::fprintf(to, "\n");
    row("reconnects", r.all.reconnects, "");
    row("sessions resumed", r.all.resumed, "");
    row("sessions given up", r.all.sessions_lost, o.server_restart ? "" : "must be 0");
    row("heartbeat timeouts", r.all.heartbeat_timeouts, "both sides");
    row("breaker opened", r.all.breaker_opened, "");
    std::fprintf(to, "  %-25s %8.1f  ms from link lost to open again; 99 of 100 within %.1f ms\n", "median recovery",
                 r.recovery_p50_ms, r.recovery_p99_ms);
    for (const auto& f : r.findings)
        std::fprintf(to, "  verify: %s\n", f.c_str());
    for (const auto& f : r.failures)
        std::fprintf(to, "  FAILED: %s\n", f.c_str());
    std::fprintf(to, "\n  %s\n", r.failures.empty() ? "All is well." : "Not all is well.");
    std::fflush(to);
}

void print_json(const result& r) {
    const auto cuts = [&](cut_class c) { return ull(r.cuts[at(c)]); };
    std::printf(
        "{\"sent\":%llu,\"acknowledged\":%llu,\"delivered\":%llu,\"unknown\":%llu,\"lost\":%llu,\"duplicated\":%llu,"
        "\"out_of_order\":%llu,\"corrupted\":%llu,\"reconnects\":%llu,",
        ull(r.sent), ull(r.acknowledged), ull(r.delivered), ull(r.unknown), ull(r.lost), ull(r.duplicated),
        ull(r.out_of_order), ull(r.corrupted), ull(r.all.reconnects));
    std::printf(
        "\"cuts\":{\"in_frame\":%llu,\"in_handshake\":%llu,\"between_data_and_ack\":%llu,\"during_resume\":%llu,"
        "\"other\":%llu},"
        "\"recovery_ms\":{\"p50\":%.1f,\"p99\":%.1f},\"seconds\":%.1f}\n",
        cuts(cut_class::in_frame), cuts(cut_class::in_handshake), cuts(cut_class::between_data_and_ack),
        cuts(cut_class::during_resume), cuts(cut_class::other), r.recovery_p50_ms, r.recovery_p99_ms, r.seconds);
    std::fflush(stdout);
}

}  // namespace demo
