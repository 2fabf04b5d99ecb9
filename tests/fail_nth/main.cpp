// SPDX-License-Identifier: BSL-1.0
// Fail the Nth: every operation of every kind of each scenario fails, once and for a while, each in a
// process of its own.
//
//   hawser_fail_nth [SCENARIO]               all points
//   hawser_fail_nth SCENARIO KIND N once|on  one of them, with its story
#include "fail_nth/scenarios.hpp"

#include <hawser/core/message.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

namespace {

using namespace fail_nth;

report play(const scenario& s, plan p, bool explain) {
    hawser::message::keep_spare(0);  // the memory of each message is asked for, and given back
    const long before = faults::live();
    faults::begin(p, explain);
    report r = s.play(explain);
    faults::stop();
    const std::string text = std::exchange(r.why, {});
    const long left = faults::live() - before - (text.capacity() > 15 ? 1 : 0);
    if (r.what < verdict::crash && left != 0) return {verdict::leak, std::to_string(left) + " blocks"};
    return {r.what, text};
}

struct totals {
    std::uint64_t points = 0, recovered = 0, failed = 0, thrown = 0, bad = 0;
    void add(const totals& t) {
        points += t.points;
        recovered += t.recovered;
        failed += t.failed;
        thrown += t.thrown;
        bad += t.bad;
    }
    void print(const char* first, const char* second) const {
        std::printf(
            "%-18s %-11s %6lu points: %6lu recovered, %5lu failed truthfully, %5lu with bad_alloc out of run(), %lu "
            "bad\n",
            first, second, points, recovered, failed, thrown, bad);
    }
};

verdict in_child(const scenario& s, plan p, std::string& why) {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child < 0) std::abort();
    if (child == 0) {
        ::alarm(4);
        const report r = play(s, p, false);
        (void)!::write(ends[1], r.why.data(), r.why.size());
        ::_exit(static_cast<int>(r.what));
    }
    ::close(ends[1]);
    char text[256];
    const auto n = ::read(ends[0], text, sizeof text);
    why.assign(text, n > 0 ? static_cast<std::size_t>(n) : 0);
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) <= static_cast<int>(verdict::lie))
        return static_cast<verdict>(WEXITSTATUS(status));
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return verdict::hang;
    why = WIFSIGNALED(status) ? ::strsignal(WTERMSIG(status)) : "a sanitizer's report";
    return verdict::crash;
}

constexpr const char* verdicts[] = {"recovered", "failed", "thrown", "crash", "leak", "hang", "lie"};

totals sweep(const scenario& s, kind k, std::uint64_t count) {
    totals t;
    for (const bool on : {false, true}) {
        for (std::uint64_t n = 1; n <= count; ++n) {
            std::string why;
            const verdict v = in_child(s, {k, n, on}, why);
            ++t.points;
            if (v == verdict::recovered)
                ++t.recovered;
            else if (v == verdict::failed)
                ++t.failed;
            else if (v == verdict::thrown)
                ++t.thrown;
            else
                ++t.bad;
            if (v < verdict::crash) continue;
            std::printf("%s: %s; repeat: hawser_fail_nth %s %s %lu %s\n", verdicts[static_cast<int>(v)], why.c_str(),
                        s.name, names[static_cast<std::size_t>(k)], static_cast<unsigned long>(n), on ? "on" : "once");
        }
    }
    return t;
}

totals sweep(const scenario& s) {
    totals sum;
    for (int i = 0; i < 2; ++i) {  // what is made once per process is made now
        const report clean = play(s, {}, false);
        if (i == 0 && clean.what == verdict::leak) continue;
        if (clean.what == verdict::recovered) continue;
        std::printf("%s does not even pass without faults: %s: %s\n", s.name, verdicts[static_cast<int>(clean.what)],
                    clean.why.c_str());
        sum.bad = 1;
        return sum;
    }
    std::array<std::uint64_t, names.size()> counts{};
    for (std::size_t k = 0; k < names.size(); ++k)
        counts[k] = faults::count(static_cast<kind>(k));
    for (std::size_t k = 0; k < names.size(); ++k) {
        if (counts[k] == 0) continue;
        const totals t = sweep(s, static_cast<kind>(k), counts[k]);
        t.print(s.name, names[k]);
        sum.add(t);
    }
    return sum;
}

int repeat(const scenario& s, char** argv) {
    plan p;
    std::size_t k = 0;
    while (k < names.size() && std::strcmp(names[k], argv[2]) != 0)
        ++k;
    if (k == names.size()) return 2;
    p = {static_cast<kind>(k), std::strtoull(argv[3], nullptr, 10), std::strcmp(argv[4], "on") == 0};
    for (int i = 0; i < 2; ++i)
        (void)play(s, {}, false);
    const report r = play(s, p, true);
    std::printf("%s %s\n", verdicts[static_cast<int>(r.what)], r.why.c_str());
    return r.what < verdict::crash ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const auto began = std::chrono::steady_clock::now();
    totals sum;
    bool known = argc == 1;
    for (const auto& s : scenarios()) {
        if (argc > 1 && std::strcmp(argv[1], s.name) != 0) continue;
        known = true;
        if (argc == 5) return repeat(s, argv);
        sum.add(sweep(s));
    }
    if (!known) return 2;
    sum.print("all", "");
    const auto took = std::chrono::steady_clock::now() - began;
    std::printf("%.1f s\n", std::chrono::duration<double>(took).count());
    return sum.bad == 0 ? 0 : 1;
}
