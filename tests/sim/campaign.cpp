// SPDX-License-Identifier: BSL-1.0
#include "campaign.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <map>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace sim {
namespace {

constexpr std::uint64_t compare_every = 20;  // 5 % of the seeds run twice

// One line per seed: S before it begins, R with its numbers, V with what it violated.
void print(std::uint64_t seed, const result& r) {
    std::printf("R %" PRIu64 " %" PRIu64 " %.6f %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, seed,
                r.trace_hash, r.simulated_seconds, r.events, r.messages, r.deliveries, r.acknowledged, r.unknown, r.reconnects, r.too_small);
    for (const auto n : r.faults) std::printf(" %" PRIu64, n);
    for (const auto n : r.reached) std::printf(" %" PRIu64, n);
    std::printf("\n");
    if (r.violations) std::printf("V %" PRIu64 " %s\n", seed, r.first_violation.c_str());
}

result parse(std::istringstream& in, std::uint64_t& seed) {
    result r;
    r.seeds = 1;
    in >> seed >> r.trace_hash >> r.simulated_seconds >> r.events >> r.messages >> r.deliveries >> r.acknowledged >> r.unknown >>
        r.reconnects >> r.too_small;
    for (auto& n : r.faults) in >> n;
    for (auto& n : r.reached) in >> n;
    return r;
}

struct worker {
    pid_t pid = -1;
    std::FILE* output = nullptr;
    std::uint64_t at = 0, first = 0, last = 0, step = 1;  // `at`: the seed begun last
    bool done = false;
};

worker spawn(const std::string& self, const std::string& planted, std::uint64_t first, std::uint64_t last, std::uint64_t step, bool hashes) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe: " + std::string(std::strerror(errno)));
    worker w{.first = first, .last = last, .step = step};
    w.pid = ::fork();
    if (w.pid < 0) throw std::runtime_error("fork: " + std::string(std::strerror(errno)));
    if (w.pid == 0) {
        ::dup2(ends[1], STDOUT_FILENO);
        ::close(ends[0]);
        ::close(ends[1]);
        const std::string a = std::to_string(first), b = std::to_string(last), c = std::to_string(step);
        const char* mode = hashes ? "--worker-hashes" : "--worker";
        ::execl(self.c_str(), self.c_str(), mode, a.c_str(), b.c_str(), c.c_str(), planted.empty() ? nullptr : "--plant", planted.c_str(),
                static_cast<char*>(nullptr));
        ::_exit(127);
    }
    ::close(ends[1]);
    w.output = ::fdopen(ends[0], "r");
    return w;
}

// Reads what a worker says; a worker that dies is a finding, and is replaced behind the seed it died of.
class reader {
public:
    reader(const std::string& self, const std::string& planted, campaign_result& into) : self_(self), planted_(planted), into_(into) {}
    std::map<std::uint64_t, std::uint64_t> hashes;
    bool stop = false;

    void follow(worker& w, bool until_first) {
        char* line = nullptr;
        std::size_t room = 0;
        while (!stop && ::getline(&line, &room, w.output) > 0) {
            take(line, w);
            if (until_first && !into_.findings.empty()) stop = true;
        }
        std::free(line);
        std::fclose(w.output);
        if (stop) ::kill(w.pid, SIGKILL);
        int status = 0;
        ::waitpid(w.pid, &status, 0);
        if (stop || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
            w.done = true;
            return;
        }
        into_.findings.push_back({w.at, "the process died with " + std::string(WIFSIGNALED(status) ? ::strsignal(WTERMSIG(status)) : "an error status")});
        if (until_first) stop = true;
        if (stop || w.at + w.step > w.last) w.done = true;
        else w = spawn(self_, planted_, w.at + w.step, w.last, w.step, false);
    }

private:
    void take(const char* text, worker& w) {
        std::istringstream in(text);
        char kind = 0;
        in >> kind;
        if (kind == 'S') {
            in >> w.at;
        } else if (kind == 'R') {
            std::uint64_t seed = 0;
            const result r = parse(in, seed);
            into_.sum.add(r);
            if (seed % compare_every == 0) hashes[seed] = r.trace_hash;
        } else if (kind == 'V') {
            finding f;
            in >> f.seed;
            in.get();
            std::getline(in, f.what);
            into_.findings.push_back(f);
        }
    }
    const std::string& self_;
    const std::string& planted_;
    campaign_result& into_;
};

// Workers write until their pipe is full, so each is read by a thread of its own.
void run_workers(const std::string& self, seed_range seeds, const std::string& planted, bool until_first, campaign_result& into,
                 std::map<std::uint64_t, std::uint64_t>& hashes) {
    const std::uint64_t cores = std::max(1u, std::thread::hardware_concurrency());
    std::vector<worker> workers;
    for (std::uint64_t i = 0; i < cores && seeds.first + i <= seeds.last; ++i)
        workers.push_back(spawn(self, planted, seeds.first + i, seeds.last, cores, false));
    std::vector<campaign_result> results(workers.size());
    std::vector<reader> readers;
    for (auto& r : results) readers.emplace_back(self, planted, r);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < workers.size(); ++i)
        threads.emplace_back([&, i] {
            while (!workers[i].done && !readers[i].stop) readers[i].follow(workers[i], until_first);
        });
    for (auto& t : threads) t.join();
    for (std::size_t i = 0; i < workers.size(); ++i) {
        into.sum.add(results[i].sum);
        into.findings.insert(into.findings.end(), results[i].findings.begin(), results[i].findings.end());
        hashes.merge(readers[i].hashes);
    }
}

// The same seeds again in another process, whose addresses differ.
void compare_hashes(const std::string& self, seed_range seeds, const std::string& planted, campaign_result& into,
                    const std::map<std::uint64_t, std::uint64_t>& hashes) {
    const std::uint64_t first = (seeds.first + compare_every - 1) / compare_every * compare_every;
    if (first > seeds.last) return;
    worker w = spawn(self, planted, first, seeds.last, compare_every, true);
    std::uint64_t seed = 0, hash = 0;
    while (std::fscanf(w.output, "H %" SCNu64 " %" SCNu64 "\n", &seed, &hash) == 2) {
        const auto earlier = hashes.find(seed);
        if (earlier == hashes.end()) continue;
        ++into.compared;
        if (earlier->second == hash) continue;
        ++into.sum.nondeterministic;
        into.findings.push_back({seed, "the second run of the same seed was another one"});
    }
    std::fclose(w.output);
    ::waitpid(w.pid, nullptr, 0);
}

}  // namespace

campaign_result run_campaign(const std::string& self, seed_range seeds, const std::string& planted, bool until_first, bool progress) {
    campaign_result all;
    const auto began = std::chrono::steady_clock::now();
    const std::uint64_t block = until_first ? 200 : 2'000;
    std::map<std::uint64_t, std::uint64_t> hashes;
    for (std::uint64_t at = seeds.first; at <= seeds.last; at += block) {
        const seed_range part{at, std::min(seeds.last, at + block - 1)};
        run_workers(self, part, planted, until_first, all, hashes);
        if (until_first && !all.findings.empty()) break;
        all.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        if (progress)
            std::fprintf(stderr, "%" PRIu64 " seeds, %zu findings, %.0f simulated hours in %.0f s\n", part.last - seeds.first + 1,
                         all.findings.size(), all.sum.simulated_seconds / 3600, all.wall_seconds);
    }
    if (!until_first) compare_hashes(self, seeds, planted, all, hashes);
    all.sum.violations = all.findings.size() - all.sum.nondeterministic;
    return all;
}

int run_worker(std::uint64_t first, std::uint64_t last, std::uint64_t step, bool hashes_only) {
    for (std::uint64_t seed = first; seed <= last; seed += step) {
        if (!hashes_only) {
            std::printf("S %" PRIu64 "\n", seed);
            std::fflush(stdout);
        }
        const result r = run_seed(seed);
        if (hashes_only) std::printf("H %" PRIu64 " %" PRIu64 "\n", seed, r.trace_hash);
        else print(seed, r);
    }
    return 0;
}

}  // namespace sim
