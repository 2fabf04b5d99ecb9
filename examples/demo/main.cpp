// SPDX-License-Identifier: BSL-1.0
// hawser_demo: messages survive cut links. `hawser_demo run --help` says more.
#include "input.hpp"
#include "programs.hpp"

#include "../support/arguments.hpp"

#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

namespace demo {

namespace {

constexpr const char* run_usage =
    "./run demo [--clients N] [--messages M] [--cut-every MS] [--seed S] [--input PATH] [--server-restart] [--json]";
constexpr const char* run_help = R"(
A server process and client processes exchange real input over real TCP sockets, through a proxy
process that cuts, resets, stalls and half-opens their links. In the end a separate process
compares what was sent with what arrived. Status 0 only if all is well.

  --clients N       1 to 500, ten per process (20)
  --messages M      1 to 100000, from each client and to each client (300)
  --cut-every MS    10 to 60000: so long each client's link lives on average, once it is open (250)
  --seed S          of input pieces, pacing and cuts (1)
  --input PATH      a file or a folder to send (the project's own files)
  --server-restart  kills the server in the middle and starts it again
  --json            the last line on standard output is one JSON object, all else goes to
                    standard error
)";

run_options parse_run(int argc, char** argv) {
    examples::arguments args(argc, argv, run_usage, {"--server-restart", "--json"});
    run_options o;
    o.common.clients = static_cast<std::uint32_t>(args.number("--clients", 20, 1, max_clients));
    o.common.messages = static_cast<std::uint32_t>(args.number("--messages", 300, 1, 100'000));
    o.common.cut_every_ms = static_cast<std::uint32_t>(args.number("--cut-every", 250, 10, 60'000));
    o.common.seed = static_cast<std::uint64_t>(args.number("--seed", 1, 0, INT64_MAX));
    const bool given = args.has("--input");
    o.input = args.text("--input", "");
    o.server_restart = args.flag("--server-restart");
    o.json = args.flag("--json");
    args.finish();
    if (given && !std::filesystem::exists(o.input))
        throw std::invalid_argument("--input is '" + o.input + "', but must be a file or a folder that exists");
    if (!given) o.input = find_project();
    if (o.input.empty())
        throw std::invalid_argument("--input is required: no folder above this program is hawser's project");
    return o;
}

settings parse_common(examples::arguments& args) {
    settings s;
    s.directory = args.required("--directory");
    s.clients = static_cast<std::uint32_t>(args.number("--clients", 20, 1, max_clients));
    s.messages = static_cast<std::uint32_t>(args.number("--messages", 300, 1, 100'000));
    s.cut_every_ms = static_cast<std::uint32_t>(args.number("--cut-every", 250, 10, 60'000));
    s.seed = static_cast<std::uint64_t>(args.number("--seed", 1, 0, INT64_MAX));
    return s;
}

// A process that the controller starts. A person may start `verify` too, for a directory that was kept.
int run_part(const std::string& name, int argc, char** argv) {
    examples::arguments args(
        argc, argv, "hawser_demo " + name + " --directory D [--clients N] [--messages M] [--cut-every MS] [--seed S]");
    const settings s = parse_common(args);
    const auto index =
        static_cast<std::uint32_t>(name == "client" ? args.number("--process", 0, 0, max_client_processes - 1) : 0);
    args.finish();
    if (name == "server") return run_server(s);
    if (name == "client") return run_clients(s, index);
    if (name == "proxy") return run_proxy(s);
    return run_verify(s);
}

void allow_many_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

int dispatch(int argc, char** argv) {
    const std::string command = argc > 1 ? argv[1] : "";
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word != "--help" && word != "-h" && word != "help") continue;
        std::printf("usage: %s\n%s", run_usage, run_help);
        return 0;
    }
    allow_many_files();
    if (command == "run") return run_controller(parse_run(argc - 1, argv + 1));
    for (const char* name : {"server", "client", "proxy", "verify"})
        if (command == name) return run_part(name, argc - 1, argv + 1);
    throw std::invalid_argument("'" + command +
                                "' is not a command; the commands are run, server, client, proxy, verify");
}

}  // namespace

}  // namespace demo

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return demo::dispatch(argc, argv);
    } catch (const std::invalid_argument& e) {
        std::fprintf(stderr, "hawser_demo: %s\n", e.what());
        return 2;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "hawser_demo: %s\n", e.what());
        return 1;
    }
}
