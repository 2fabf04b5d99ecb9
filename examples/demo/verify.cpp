// SPDX-License-Identifier: BSL-1.0
// hawser_demo verify: reads the files of a run, and nothing else, and says what they prove.
#include "audit.hpp"
#include "programs.hpp"

#include <cstdio>

namespace demo {

namespace {

audit audit_all(const settings& s) {
    const input in(s);
    audit all;
    for (std::uint32_t client = 0; client < s.clients; ++client) {
        for (const direction d : {direction::up, direction::down}) {
            const auto sender = sender_id(d, client);
            const std::string name = "client " + std::to_string(client) + " " + to_string(d);
            auditor check(name, [&](std::uint32_t number) { return in.head(sender, number); });
            const auto received = read_file(received_path(s, d, client));
            all += check.run(read_ledger(ledger_path(s, d, client)), received);
        }
    }
    return all;
}

}  // namespace

int run_verify(const settings& s) {
    const audit a = audit_all(s);
    const auto line = [](const char* name, std::uint64_t n) {
        std::printf("%s %llu\n", name, static_cast<unsigned long long>(n));
    };
    line("sent", a.sent);
    line("acknowledged", a.acknowledged);
    line("delivered", a.delivered);
    line("unknown", a.unknown);
    line("lost", a.lost);
    line("duplicated", a.duplicated);
    line("out_of_order", a.out_of_order);
    line("corrupted", a.corrupted);
    for (const auto& f : a.findings)
        std::printf("# %s\n", f.c_str());
    const bool bounded = a.acknowledged <= a.delivered && a.delivered <= a.acknowledged + a.unknown;
    if (!bounded) std::printf("# acknowledged <= delivered <= acknowledged + unknown does not hold\n");
    return a.lost == 0 && a.duplicated == 0 && a.out_of_order == 0 && a.corrupted == 0 && bounded ? 0 : 1;
}

}  // namespace demo
