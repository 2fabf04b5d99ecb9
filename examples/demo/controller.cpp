// SPDX-License-Identifier: BSL-1.0
// hawser_demo run: starts the processes, watches them, and judges.
#include "files.hpp"
#include "input.hpp"
#include "process.hpp"
#include "programs.hpp"
#include "report.hpp"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

namespace demo {

namespace fs = std::filesystem;

namespace {

volatile std::sig_atomic_t interrupted = 0;

constexpr auto deadline = 120s;
constexpr auto server_downtime = 300ms;
constexpr auto healing_time = 5s;
constexpr auto longest_stall = 450ms;  // before that a link that looks up may still be dead

/// Thrown when a run cannot go on.
struct run_failed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The run's folder; removed at the end unless it is to be kept.
class work_directory {
public:
    work_directory() {
        std::string name = (fs::temp_directory_path() / "hawser-demo-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), "cannot make " + name);
        path_ = name;
    }
    work_directory(const work_directory&) = delete;
    work_directory& operator=(const work_directory&) = delete;
    ~work_directory() {
        std::error_code ignored;
        if (!kept_) fs::remove_all(path_, ignored);
    }
    void keep() noexcept { kept_ = true; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
    bool kept_ = false;
};

class controller {
public:
    controller(const run_options& o, const settings& s) : options_(o), settings_(s), board_(s), progress_(o) {}

    [[nodiscard]] result run() {
        const auto started = clock::now();
        end_ = started + deadline;
        try {
            start_all();
            if (options_.server_restart) restart_server();
            watch("messages under way", [&](const totals& t) { return t.decided >= expected(); });
            const auto patience = clock::now() + 3s;  // a short run may still miss a kind of cut
            watch("all messages are through",
                  [&](const totals&) { return all_cuts_seen() || clock::now() >= patience; });
            heal();
        } catch (const run_failed& e) {
            result_.failures.emplace_back(e.what());
        }
        stop_all();
        verify();
        collect(std::chrono::duration<double>(clock::now() - started).count());
        progress_.finish();
        return result_;
    }

private:
    using clock = std::chrono::steady_clock;

    [[nodiscard]] std::uint64_t expected() const noexcept {
        return std::uint64_t{2} * settings_.clients * settings_.messages;
    }
    [[nodiscard]] std::uint32_t client_processes() const noexcept {
        return (settings_.clients + clients_per_process - 1) / clients_per_process;
    }
    [[nodiscard]] std::vector<std::string> arguments(const std::string& command) const {
        const auto& s = settings_;
        return {command,
                "--directory",
                s.directory,
                "--clients",
                std::to_string(s.clients),
                "--messages",
                std::to_string(s.messages),
                "--cut-every",
                std::to_string(s.cut_every_ms),
                "--seed",
                std::to_string(s.seed)};
    }

    // Waits until the process has told its port.
    void start_listener(std::optional<process>& where, const std::string& name) {
        fs::remove(settings_.directory + "/" + name + ".port");
        where.emplace(name, settings_.directory, arguments(name));
        watch(("starting the " + name).c_str(), [&](const totals&) { return published_port(settings_, name) != 0; });
    }
    void start_all() {
        start_listener(server_, "server");
        start_listener(proxy_, "proxy");
        for (std::uint32_t i = 0; i < client_processes(); ++i) {
            auto list = arguments("client");
            list.insert(list.end(), {"--process", std::to_string(i)});
            clients_.emplace_back("client" + std::to_string(i), settings_.directory, list);
        }
    }
    void restart_server() {
        watch("messages under way", [&](const totals& t) { return t.received >= expected() * 2 / 5; });
        server_->signal(SIGKILL);
        (void)server_->wait(5s);
        server_.reset();
        const auto until = clock::now() + server_downtime;
        watch("the server is dead", [&](const totals&) { return clock::now() >= until; });
        start_listener(server_, "server");
    }

    // Until `done`, shows progress. Throws when a process ends too early or time is over.
    template <class Done>
    void watch(const char* phase, Done done) {
        for (;;) {
            const totals t = sum(*board_, client_processes());
            progress_.show(*board_, t, phase);
            if (done(t)) return;
            if (interrupted) throw run_failed("interrupted");
            for (process* p : all()) {
                const auto status = p->status();
                if (!status) continue;
                ended_.push_back(p->name());
                throw run_failed(p->name() + " ended too early with status " + std::to_string(*status));
            }
            if (clock::now() >= end_)
                throw run_failed(std::string("not done in time (") + phase + "): of " + std::to_string(expected()) +
                                 " messages " + std::to_string(t.handed) + " were sent, the outcome of " +
                                 std::to_string(t.decided) + " is known; " + std::to_string(t.links_up) +
                                 " links are up");
            std::this_thread::sleep_for(5ms);
        }
    }
    [[nodiscard]] bool all_cuts_seen() const {
        return std::all_of(board_->cuts.begin(), board_->cuts.end(), [](const auto& n) { return n != 0; });
    }
    [[nodiscard]] std::vector<process*> all() {
        std::vector<process*> list;
        if (server_) list.push_back(&*server_);
        if (proxy_) list.push_back(&*proxy_);
        for (auto& c : clients_)
            list.push_back(&c);
        return list;
    }

    // The links are left alone from now on: all of them must come back.
    void heal() {
        board_->calm = 1;
        const auto begin = clock::now();
        end_ = std::min(end_, begin + healing_time);
        watch("the cuts are over", [&](const totals& t) {
            return clock::now() >= begin + longest_stall && t.links_up == settings_.clients;
        });
    }
    // In order: clients, server, proxy.
    void stop_all() {
        board_->calm = 1;
        for (auto& c : clients_)
            c.signal(SIGTERM);
        for (auto& c : clients_)
            stopped(c);
        if (server_) server_->signal(SIGTERM), stopped(*server_);
        if (proxy_) proxy_->signal(SIGTERM), stopped(*proxy_);
    }
    void stopped(process& p) {
        if (std::find(ended_.begin(), ended_.end(), p.name()) != ended_.end()) return;
        const auto status = p.wait(interrupted ? 100ms : 5s);
        if (!status && !interrupted) result_.failures.push_back(p.name() + " did not end in time");
        if (status && *status != 0)
            result_.failures.push_back(p.name() + " ended with status " + std::to_string(*status));
        if (!status) p.signal(SIGKILL);
    }

    void verify() {
        if (interrupted) return;
        process verifier("verify", settings_.directory, arguments("verify"));
        const auto status = verifier.wait(60s);
        if (!status || *status > 1)
            result_.failures.emplace_back("the verifier itself failed");
        else if (*status == 1)
            result_.failures.emplace_back("the verifier found something");
        const auto raw = read_file(settings_.directory + "/verify.out");
        read_verdict({reinterpret_cast<const char*>(raw.data()), raw.size()});
    }
    void read_verdict(std::string_view text) {
        const std::pair<std::string_view, std::uint64_t*> names[] = {{"sent", &result_.sent},
                                                                     {"acknowledged", &result_.acknowledged},
                                                                     {"delivered", &result_.delivered},
                                                                     {"unknown", &result_.unknown},
                                                                     {"lost", &result_.lost},
                                                                     {"duplicated", &result_.duplicated},
                                                                     {"out_of_order", &result_.out_of_order},
                                                                     {"corrupted", &result_.corrupted}};
        while (!text.empty()) {
            const auto line = text.substr(0, text.find('\n'));
            text.remove_prefix(std::min(text.size(), line.size() + 1));
            if (line.starts_with("# ")) result_.findings.emplace_back(line.substr(2));
            for (const auto& [name, where] : names)
                if (line.starts_with(name) && line.substr(name.size()).starts_with(' '))
                    std::from_chars(line.data() + name.size() + 1, line.data() + line.size(), *where);
        }
    }

    void collect(double seconds) {
        result_.seconds = seconds;
        result_.all = sum(*board_, client_processes());
        for (std::size_t i = 0; i < result_.cuts.size(); ++i)
            result_.cuts[i] = board_->cuts[i];
        for (std::size_t i = 0; i < result_.kinds.size(); ++i)
            result_.kinds[i] = board_->kinds[i];
        result_.stalls = board_->stalls;
        collect_recoveries();
        if (interrupted) return;
        const auto must = [&](bool good, const std::string& what) {
            if (!good) result_.failures.push_back(what);
        };
        must(result_.sent == expected(), "not all messages were sent");
        must(result_.all.reconnects > 0, "no link was ever lost");
        must(result_.all.protocol_errors == 0, std::to_string(result_.all.protocol_errors) + " protocol errors");
        for (std::size_t i = 0; i < result_.cuts.size(); ++i)
            must(result_.cuts[i] > 0, "no cut of the class " + std::string(cut_class_names[i]));
        if (options_.server_restart) return;
        must(result_.unknown == 0, "messages with an unknown outcome");
        must(result_.delivered == result_.sent, "not all messages were delivered");
        must(result_.all.sessions_lost == 0, std::to_string(result_.all.sessions_lost) + " sessions were given up");
    }
    void collect_recoveries() {
        std::vector<std::uint32_t> all;
        for (std::uint32_t i = 0; i < client_processes(); ++i) {
            const auto raw = read_file(settings_.directory + "/recovery." + std::to_string(i));
            const std::size_t count = raw.size() / sizeof(std::uint32_t);
            all.resize(all.size() + count);
            if (count != 0) std::memcpy(all.data() + all.size() - count, raw.data(), count * sizeof(std::uint32_t));
        }
        if (all.empty()) return;
        std::sort(all.begin(), all.end());
        const auto percentile = [&](std::size_t percent) {
            return all[(all.size() * percent + 99) / 100 - 1] / 1000.0;
        };
        result_.recovery_p50_ms = percentile(50);
        result_.recovery_p99_ms = percentile(99);
    }

    const run_options& options_;
    const settings& settings_;
    shared_board board_;
    progress progress_;
    std::optional<process> server_, proxy_;
    std::vector<process> clients_;
    std::vector<std::string> ended_;  // too early
    clock::time_point end_;
    result result_;
};

}  // namespace

int run_controller(const run_options& o) {
    std::signal(SIGINT, [](int) { interrupted = 1; });
    std::signal(SIGTERM, [](int) { interrupted = 1; });
    std::signal(SIGHUP, [](int) { interrupted = 1; });
    work_directory directory;
    settings s = o.common;
    s.directory = directory.path();
    const auto size = make_snapshot(s, o.input);
    std::fprintf(
        stderr,
        "hawser demo: %u clients, links are cut after %u ms on average; input %s (%zu files, %zu bytes, %zu pieces)\n",
        s.clients, s.cut_every_ms, o.input.c_str(), size.files, size.bytes, size.pieces);
    controller c(o, s);
    const result r = c.run();
    if (interrupted) {
        std::fprintf(stderr, "hawser demo: interrupted\n");
        return 130;
    }
    print_summary(o, r);
    if (!r.failures.empty()) {
        directory.keep();
        std::fprintf(stderr, "  The files of this run are in %s\n", s.directory.c_str());
    }
    if (o.json) print_json(r);
    return r.failures.empty() ? 0 : 1;
}

void publish_port(const settings& s, const std::string& who, unsigned port) {
    const std::string text = std::to_string(port);
    write_file(s.directory + "/" + who + ".port", std::as_bytes(std::span(text)));
}

std::uint16_t published_port(const settings& s, const std::string& who) {
    const auto raw = read_file(s.directory + "/" + who + ".port");
    std::uint16_t port = 0;
    const char* text = reinterpret_cast<const char*>(raw.data());
    std::from_chars(text, text + raw.size(), port);
    return port;
}

}  // namespace demo
