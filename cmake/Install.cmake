# Installs the layers and a package config, so that `find_package(libcluster COMPONENTS ds)` works.
include(CMakePackageConfigHelpers)
get_property(layers GLOBAL PROPERTY CLUSTER_LAYERS)
