// SPDX-License-Identifier: BSL-1.0
// Prints what must be the same in both modes: names and sizes of types, the library's functions.
#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>

#include <asio/io_context.hpp>

#include <cstdio>
#include <typeinfo>

std::size_t second();

template <class T>
void print() {
    std::printf("%s %zu %zu\n", typeid(T).name(), sizeof(T), alignof(T));
}

int main() {
    print<hawser::resilient_socket<>>();
    print<hawser::listener<>>();
    print<hawser::detail::link<hawser::default_policies>>();
    print<hawser::detail::listener_core<hawser::default_policies>>();
    print<hawser::options>();
    print<hawser::message>();
    print<hawser::sender>();
    std::printf("%zu\n", second());
}
