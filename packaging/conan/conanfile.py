# SPDX-License-Identifier: BSL-1.0
"""hawser for Conan 2; docs/packages.md says how to use it."""
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load


class HawserRecipe(ConanFile):
    name = "hawser"
    description = "WebSockets that stay up: a C++20 library on standalone Asio"
    license = "BSL-1.0"
    topics = ("websocket", "asio", "networking", "header-only")
    settings = "os", "arch", "compiler", "build_type"
    options = {"separate_compilation": [True, False], "deflate": [True, False], "tls": [True, False],
               "sqlite": [True, False]}
    default_options = {"separate_compilation": False, "deflate": False, "tls": False, "sqlite": False}

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, os.pardir, os.pardir)

    def set_version(self):
        text = load(self, os.path.join(self._root, "CMakeLists.txt"))
        self.version = re.search(r"^ *VERSION (\d+\.\d+\.\d+)$", text, re.MULTILINE).group(1)

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "src/*"):
            copy(self, pattern, self._root, self.export_sources_folder)

    def configure(self):
        self.package_type = "static-library" if self.options.separate_compilation else "header-library"

    def requirements(self):
        # The headers include both. xxHash is compiled into them, so its library is not linked.
        self.requires("asio/[>=1.22.1 <2]", transitive_headers=True)
        self.requires("xxhash/[>=0.8.1 <1]", transitive_headers=True)
        if self.options.deflate:
            self.requires("zlib/[>=1.2.13 <2]", transitive_headers=True, transitive_libs=True)
        if self.options.tls:
            self.requires("openssl/[>=3 <4]", transitive_headers=True, transitive_libs=True)
        if self.options.sqlite:
            self.requires("sqlite3/[>=3.40 <4]", transitive_headers=True, transitive_libs=True)

    def validate(self):
        check_min_cppstd(self, 20)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in ("TESTS", "EXAMPLES", "BENCHMARKS"):
            toolchain.cache_variables[f"HAWSER_BUILD_{part}"] = False
        toolchain.cache_variables["HAWSER_SEPARATE_COMPILATION"] = bool(self.options.separate_compilation)
        toolchain.cache_variables["HAWSER_DEFLATE"] = bool(self.options.deflate)
        toolchain.cache_variables["HAWSER_TLS"] = bool(self.options.tls)
        toolchain.cache_variables["HAWSER_SQLITE"] = bool(self.options.sqlite)
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_id(self):
        if not self.info.options.separate_compilation:
            # The options still say what is installed.
            self.info.settings.clear()
            self.info.requires.clear()

    def package_info(self):
        # Users of CMake get the package's own configuration file and Find modules: these take Asio and
        # xxHash from Conan where it has them, else from the system.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("lib", "cmake", "hawser")]
        # For the other generators.
        self.cpp_info.set_property("pkg_config_name", "hawser")
        self.cpp_info.bindirs = []
        self.cpp_info.defines = ["ASIO_STANDALONE"]
        if self.settings.os in ("Linux", "FreeBSD"):
            self.cpp_info.system_libs = ["pthread"]
        if self.options.separate_compilation:
            compiled = [name for name, wanted in (("deflate", self.options.deflate), ("tls", self.options.tls)) if wanted]
            self.cpp_info.libs = [f"hawser_{name}" for name in compiled] + ["hawser"]
            self.cpp_info.defines.append("HAWSER_SEPARATE_COMPILATION")
        else:
            self.cpp_info.libdirs = []
