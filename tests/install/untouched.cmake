# SPDX-License-Identifier: BSL-1.0
# A consumer includes this before it takes hawser in, and calls hawser_check_untouched() afterwards:
# its own settings must be what they were.

set(mine
  CMAKE_BUILD_TYPE CMAKE_CXX_FLAGS CMAKE_CXX_STANDARD CMAKE_CXX_EXTENSIONS CMAKE_MODULE_PATH
  CMAKE_CXX_COMPILER_LAUNCHER CMAKE_EXPORT_COMPILE_COMMANDS CMAKE_POSITION_INDEPENDENT_CODE
  BUILD_TESTING)
foreach(variable IN LISTS mine)
  set(before_${variable} "${${variable}}")
endforeach()
get_directory_property(before_options COMPILE_OPTIONS)

macro(hawser_check_untouched)
  foreach(variable IN LISTS mine)
    if(NOT "${${variable}}" STREQUAL "${before_${variable}}")
      message(FATAL_ERROR "hawser changed ${variable} to '${${variable}}'")
    endif()
  endforeach()
  get_directory_property(after_options COMPILE_OPTIONS)
  if(NOT "${after_options}" STREQUAL "${before_options}")
    message(FATAL_ERROR "hawser changed the compile options to '${after_options}'")
  endif()
endmacro()
