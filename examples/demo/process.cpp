// SPDX-License-Identifier: BSL-1.0
#include "process.hpp"

#include "files.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>
#include <thread>

namespace demo {

using namespace std::chrono_literals;

namespace {

// Between fork and exec: only what is safe there.
[[noreturn]] void become(pid_t parent, const char* out, const char* log, char* const* arguments) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
    // Ctrl-C goes to the whole group; the controller decides what happens then.
    ::signal(SIGINT, SIG_IGN);
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(::open(out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644), STDOUT_FILENO);
    ::dup2(::open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644), STDERR_FILENO);
    ::execv("/proc/self/exe", arguments);
    ::_exit(127);
}

}  // namespace

process::process(std::string name, const std::string& directory, const std::vector<std::string>& arguments)
    : name_(std::move(name)) {
    const std::string out = directory + "/" + name_ + ".out", log = directory + "/" + name_ + ".log";
    std::string program = "hawser_demo";
    std::vector<char*> list{program.data()};
    std::vector<std::string> copies(arguments);
    for (auto& a : copies)
        list.push_back(a.data());
    list.push_back(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "cannot start " + name_);
    if (pid_ == 0) become(parent, out.c_str(), log.c_str(), list.data());
}

process::process(process&& other) noexcept
    : name_(std::move(other.name_)), pid_(std::exchange(other.pid_, -1)), status_(other.status_) {}

process& process::operator=(process&& other) noexcept {
    std::swap(name_, other.name_);
    std::swap(pid_, other.pid_);
    std::swap(status_, other.status_);
    return *this;
}

process::~process() {
    if (pid_ < 0 || status_) return;
    signal(SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
}

std::optional<int> process::status() {
    int raw = 0;
    if (!status_ && ::waitpid(pid_, &raw, WNOHANG) == pid_)
        status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
    return status_;
}

void process::signal(int number) const {
    if (pid_ > 0 && !status_) ::kill(pid_, number);
}

std::optional<int> process::wait(std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!status() && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(2ms);
    return status_;
}

}  // namespace demo
