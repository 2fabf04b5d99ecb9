// SPDX-License-Identifier: BSL-1.0
#include "plan.hpp"

#include <algorithm>
#include <cmath>

namespace demo {

using std::chrono::milliseconds;

plan planner::drawn() {
    plan p;
    const auto kind = draw(1, 100);
    p.kind = kind <= 45   ? cut_kind::reset
             : kind <= 75 ? cut_kind::close
             : kind <= 90 ? cut_kind::half_open
                          : cut_kind::stall;
    p.lane = static_cast<int>(draw(0, 1));
    p.silent_lanes = static_cast<int>(draw(1, 3));
    p.share = static_cast<double>(draw(1, 99)) / 100;
    p.pause = milliseconds(p.kind == cut_kind::half_open ? draw(1200, 2400) : draw(50, 400));
    return p;
}

plan planner::for_handshake() {
    plan p = drawn();
    if (calm() || !(missing(cut_class::in_handshake) || chance(9))) return p;
    p.at = plan::aim::handshake;
    if (p.kind == cut_kind::half_open && chance(50)) p.kind = cut_kind::reset;  // each costs a connect_timeout
    p.point = static_cast<handshake_point>(draw(0, 4));
    return p;
}

plan planner::for_resume() {
    plan p = drawn();
    if (!calm() && (missing(cut_class::during_resume) || chance(11))) p.at = plan::aim::resume;
    return p;
}

plan planner::for_open_link() {
    plan p = drawn();
    p.at = draw_aim();
    if (p.at == plan::aim::pause) p.pause = milliseconds(draw(50, 400));
    const bool wanted = (p.at == plan::aim::frame && missing(cut_class::in_frame)) ||
                        (p.at == plan::aim::data_and_ack && missing(cut_class::between_data_and_ack)) ||
                        (p.at == plan::aim::quiet && missing(cut_class::other));
    p.wait = wanted ? milliseconds(0) : draw_lifetime();
    return p;
}

plan::aim planner::draw_aim() {
    using aim = plan::aim;
    if (missing(cut_class::other)) return aim::quiet;
    if (missing(cut_class::in_frame)) return aim::frame;
    if (missing(cut_class::between_data_and_ack)) return aim::data_and_ack;
    const auto n = draw(1, 100);
    return n <= 25   ? aim::frame
           : n <= 50 ? aim::data_and_ack
           : n <= 65 ? aim::quiet
           : n <= 85 ? aim::anything
                     : aim::pause;
}

// Exponentially distributed, as of a link that may fail at any moment.
milliseconds planner::draw_lifetime() {
    const double share = std::max(static_cast<double>(draw(0, 1'000'000)) / 1'000'000, 1e-6);
    const double mean = settings_.cut_every_ms;
    return milliseconds(static_cast<long>(std::clamp(-std::log(share) * mean, 1.0, 6 * mean)));
}

}  // namespace demo
