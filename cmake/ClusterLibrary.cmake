# How every layer, program and test of this project is declared.
include_guard(GLOBAL)
include(GNUInstallDirs)

add_library(cluster_warnings INTERFACE)
target_compile_options(cluster_warnings INTERFACE -Wall -Wextra -Wpedantic -Wconversion
                                                  $<$<BOOL:${CLUSTER_WERROR}>:-Werror>)
if(CLUSTER_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-maybe-uninitialized)  # GCC gives false ones on instrumented std::variant
endif()
if(CLUSTER_SANITIZE STREQUAL "address")
  # vptr and object-size make compiling a fifth slower, and find little that ASan does not.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=vptr,object-size -fno-sanitize-recover=undefined
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(CLUSTER_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)  # Asio's fences are not seen by TSan; who polls holds a mutex, which is
  endif()
  add_link_options(-fsanitize=thread)
elseif(NOT CLUSTER_SANITIZE STREQUAL "")
  message(FATAL_ERROR "CLUSTER_SANITIZE must be address, thread or empty, not '${CLUSTER_SANITIZE}'")
endif()

# cluster_cold(TARGET): under a sanitizer, what hardly computes is not optimised, nor checked for null and misaligned
# pointers: most of its compile time goes there.
function(cluster_cold target)
  if(CLUSTER_SANITIZE)
    target_compile_options(${target} PRIVATE -O0 -fno-sanitize=null,alignment)
  endif()
endfunction()

option(CLUSTER_FUZZ "Build the fuzz targets with libFuzzer (clang; see scripts/fuzz)" OFF)
if(CLUSTER_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # what is fuzzed says where it has been
endif()

# cluster_library(NAME [ROOT dir] [FOLDER name] HEADERS h... SOURCES s... DEPENDS target... [PRIVATE target...])
#
# Declares layer NAME as target cluster_NAME (exported as cluster::NAME). HEADERS are relative to
# ROOT/NAME (default: libcluster/include/cluster), SOURCES to the calling folder. A library whose
# headers lie beside those of another layer (an adapter to a package that the layer itself must not need)
# says so with FOLDER. The target offers its headers through a folder of its own that holds only this layer, so an include of a
# layer that is not in DEPENDS finds no file: the arrows between layers are enforced by the compiler.
function(cluster_library name)
  cmake_parse_arguments(arg "" "ROOT;FOLDER" "HEADERS;SOURCES;DEPENDS;PRIVATE" ${ARGN})
  if(NOT arg_ROOT)
    set(arg_ROOT ${PROJECT_SOURCE_DIR}/libcluster/include/cluster)
  endif()
  if(NOT arg_FOLDER)
    set(arg_FOLDER ${name})
  endif()
  set(view ${PROJECT_BINARY_DIR}/layers/${name})
  file(MAKE_DIRECTORY ${view}/cluster)
  file(CREATE_LINK ${arg_ROOT}/${arg_FOLDER} ${view}/cluster/${arg_FOLDER} SYMBOLIC)
  # A source includes its own header first (tests/layers), which shows that the header compiles alone; those
  # without a source are compiled by themselves (target all_verify_interface_header_sets).
  set(with_source)
  set(alone)
  foreach(header IN LISTS arg_HEADERS)
    string(REGEX REPLACE "[.]hpp$" ".cpp" source ${header})
    if(source IN_LIST arg_SOURCES)
      list(APPEND with_source ${view}/cluster/${arg_FOLDER}/${header})
    else()
      list(APPEND alone ${view}/cluster/${arg_FOLDER}/${header})
    endif()
  endforeach()

  set(target cluster_${name})
  if(arg_SOURCES)
    add_library(${target} ${arg_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:cluster_warnings>)
    target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(cluster::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_compile_features(${target} ${scope} cxx_std_20)
  target_sources(${target} ${scope}
    FILE_SET HEADERS BASE_DIRS ${view} FILES ${with_source}
    FILE_SET headers_alone TYPE HEADERS BASE_DIRS ${view} FILES ${alone})
  target_link_libraries(${target} ${scope} ${arg_DEPENDS})
  if(arg_PRIVATE)
    target_link_libraries(${target} PRIVATE ${arg_PRIVATE})
  endif()
  if(CLUSTER_BUILD_TESTS)
    set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON
                                               INTERFACE_HEADER_SETS_TO_VERIFY headers_alone)
  endif()
  set_property(GLOBAL APPEND PROPERTY CLUSTER_LAYERS ${target})
endfunction()

# cluster_program(NAME SOURCES s... DEPENDS target...): an executable in build/bin.
function(cluster_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} cluster_warnings)
endfunction()

# cluster_test(NAME SOURCES s... DEPENDS target... [LABELS l...]): a doctest program and its ctest entry.
# Labels choose the sanitizer runs: unit and sim run under ASan+UBSan, runtime and net under TSan too.
# Target tests_LABEL builds the test programs of a label. Such a program works all the time, so ctest gives it two
# of its places (a test of processes mostly waits, and takes one: scripts/lib.sh).
function(cluster_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} cluster_test_main cluster_warnings)
  if(NOT "sim" IN_LIST arg_LABELS)
    cluster_cold(${name})
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 300 PROCESSORS 2)
  foreach(label IN LISTS arg_LABELS)
    if(TARGET tests_${label})
      add_dependencies(tests_${label} ${name})
    endif()
  endforeach()
endfunction()
