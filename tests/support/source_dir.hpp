// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

/// The path of a file of this project. In a file of its own: a path in every command would keep ccache from finding what
/// another checkout compiled.
std::string source_file(const char* name);
