// SPDX-License-Identifier: BSL-1.0
/// \file
/// Transfers of files and streams, for whom wants them: not part of <hawser/hawser.hpp>.
#pragma once

#include <hawser/transfer/transfers.hpp>
