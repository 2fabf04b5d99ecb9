// SPDX-License-Identifier: BSL-1.0
#define CATCH_CONFIG_RUNNER
#include "support/catch.hpp"
#include "support/source_dir.hpp"

std::string source_file(const char* name) { return std::string(HAWSER_SOURCE_DIR "/") + name; }

int main(int argc, char* argv[]) { return Catch::Session().run(argc, argv); }
