# SPDX-License-Identifier: BSL-1.0
# Headers, the library where there is one, the CMake package with our find modules, the pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(hawser_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/hawser")
set(hawser_generated_dir "${CMAKE_CURRENT_BINARY_DIR}/package")

install(TARGETS hawser EXPORT hawserTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT hawserTargets NAMESPACE hawser:: DESTINATION "${hawser_package_dir}")
if(HAWSER_DEFLATE)
  # A set of its own: who does not ask for the component need not have zlib.
  install(TARGETS hawser_deflate EXPORT hawserDeflateTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(EXPORT hawserDeflateTargets NAMESPACE hawser:: DESTINATION "${hawser_package_dir}")
endif()
if(HAWSER_TLS)
  install(TARGETS hawser_tls EXPORT hawserTlsTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(EXPORT hawserTlsTargets NAMESPACE hawser:: DESTINATION "${hawser_package_dir}")
endif()
if(HAWSER_SQLITE)
  install(TARGETS hawser_sqlite EXPORT hawserSqliteTargets
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(EXPORT hawserSqliteTargets NAMESPACE hawser:: DESTINATION "${hawser_package_dir}")
endif()

configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/hawserConfig.cmake.in"
  "${hawser_generated_dir}/hawserConfig.cmake"
  INSTALL_DESTINATION "${hawser_package_dir}"
  NO_SET_AND_CHECK_MACRO)
if(HAWSER_SEPARATE_COMPILATION)
  set(hawser_arch "")
else()
  set(hawser_arch ARCH_INDEPENDENT)
endif()
write_basic_package_version_file(
  "${hawser_generated_dir}/hawserConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion
  ${hawser_arch})
install(FILES
  "${hawser_generated_dir}/hawserConfig.cmake"
  "${hawser_generated_dir}/hawserConfigVersion.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/Findasio.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/FindxxHash.cmake"
  DESTINATION "${hawser_package_dir}")

# pkg-config finds the prefix from the place of the file, so that the installed tree can be moved.
file(RELATIVE_PATH hawser_pc_prefix
  "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
file(RELATIVE_PATH hawser_pc_include
  "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
set(hawser_pc_cflags "-DASIO_STANDALONE -pthread")
if(asio_VERSION AND asio_VERSION VERSION_LESS 1.24)
  # As in Findasio.cmake; pkg-config cannot ask for the compiler, and GCC defines the same values.
  string(APPEND hawser_pc_cflags " -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1")
endif()
set(hawser_pc_libs "-pthread")
if(HAWSER_SEPARATE_COMPILATION)
  file(RELATIVE_PATH hawser_pc_lib "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_LIBDIR}")
  string(APPEND hawser_pc_cflags " -DHAWSER_SEPARATE_COMPILATION")
  set(hawser_pc_libdir "-L\${prefix}/${hawser_pc_lib}")
  string(PREPEND hawser_pc_libs "${hawser_pc_libdir} -lhawser ")
  # Of the components that are compiled.
  set(hawser_pc_deflate_libs "${hawser_pc_libdir} -lhawser_deflate")
  set(hawser_pc_tls_libs "${hawser_pc_libdir} -lhawser_tls")
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/hawser.pc.in" "${hawser_generated_dir}/hawser.pc" @ONLY)
install(FILES "${hawser_generated_dir}/hawser.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(HAWSER_DEFLATE)
  configure_file("${CMAKE_CURRENT_LIST_DIR}/hawser-deflate.pc.in" "${hawser_generated_dir}/hawser-deflate.pc" @ONLY)
  install(FILES "${hawser_generated_dir}/hawser-deflate.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endif()
if(HAWSER_TLS)
  configure_file("${CMAKE_CURRENT_LIST_DIR}/hawser-tls.pc.in" "${hawser_generated_dir}/hawser-tls.pc" @ONLY)
  install(FILES "${hawser_generated_dir}/hawser-tls.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endif()
if(HAWSER_SQLITE)
  configure_file("${CMAKE_CURRENT_LIST_DIR}/hawser-sqlite.pc.in" "${hawser_generated_dir}/hawser-sqlite.pc" @ONLY)
  install(FILES "${hawser_generated_dir}/hawser-sqlite.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endif()
