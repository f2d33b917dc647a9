# Writes build_info.hpp at each build (only if it changed): the commit of the sources is known only then.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
                OUTPUT_VARIABLE GIT_VERSION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT GIT_VERSION)
  set(GIT_VERSION "no git")
endif()
configure_file(${SOURCE}/build_info.hpp.in ${TO} @ONLY)
