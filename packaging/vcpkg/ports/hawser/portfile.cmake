# SPDX-License-Identifier: BSL-1.0
# An overlay port that builds the source tree it lies in; it downloads nothing of hawser.
cmake_path(ABSOLUTE_PATH CMAKE_CURRENT_LIST_DIR NORMALIZE OUTPUT_VARIABLE SOURCE_PATH)
foreach(level RANGE 1 4)
  cmake_path(GET SOURCE_PATH PARENT_PATH SOURCE_PATH)
endforeach()
if(NOT EXISTS "${SOURCE_PATH}/include/hawser/hawser.hpp")
  message(FATAL_ERROR
    "hawser's sources are not in ${SOURCE_PATH}. Use this port where it is, in packaging/vcpkg/ports of "
    "hawser's source tree: vcpkg install hawser --overlay-ports=SOURCE/packaging/vcpkg/ports")
endif()

vcpkg_check_features(OUT_FEATURE_OPTIONS feature_options
  FEATURES
    deflate HAWSER_DEFLATE
    sqlite HAWSER_SQLITE
    tls HAWSER_TLS
    separate-compilation HAWSER_SEPARATE_COMPILATION)
if(NOT "separate-compilation" IN_LIST FEATURES)
  set(VCPKG_BUILD_TYPE release) # header-only
endif()

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    ${feature_options}
    -DHAWSER_BUILD_TESTS=OFF
    -DHAWSER_BUILD_EXAMPLES=OFF
    -DHAWSER_BUILD_BENCHMARKS=OFF
    -DHAWSER_INSTALL=ON)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/hawser)
vcpkg_fixup_pkgconfig()

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include")
if(NOT "separate-compilation" IN_LIST FEATURES)
  file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug" "${CURRENT_PACKAGES_DIR}/lib/cmake")
endif()
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
