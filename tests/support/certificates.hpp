// SPDX-License-Identifier: BSL-1.0
// Certificates that tests make for themselves: authorities, and what they sign.
#pragma once

#include <asio/buffer.hpp>
#include <asio/ssl/context.hpp>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

namespace support {

struct certificate_request {
    std::string name = "server.test";
    std::string alternatives = "DNS:server.test";  // subjectAltName; empty: none
    long from_s = -3600, to_s = 24 * 3600;         // valid, relative to now
    bool is_authority = false;
};

class certificate {
public:
    // Signed by `issuer`, or by itself.
    explicit certificate(const certificate_request& what, const certificate* issuer = nullptr)
        : key_(EVP_EC_gen("P-256"), &EVP_PKEY_free), x509_(X509_new(), &X509_free) {
        if (!key_ || !x509_) throw std::runtime_error("OpenSSL makes no certificate");
        static int serial = 1;
        X509_set_version(x509_.get(), 2);
        ASN1_INTEGER_set(X509_get_serialNumber(x509_.get()), ++serial);
        X509_gmtime_adj(X509_getm_notBefore(x509_.get()), what.from_s);
        X509_gmtime_adj(X509_getm_notAfter(x509_.get()), what.to_s);
        X509_set_pubkey(x509_.get(), key_.get());
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x509_.get()), "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(what.name.c_str()), -1, -1, 0);
        X509* const by = issuer ? issuer->x509_.get() : x509_.get();
        X509_set_issuer_name(x509_.get(), X509_get_subject_name(by));
        extend(by, NID_basic_constraints, what.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
        extend(by, NID_subject_key_identifier, "hash");
        if (!what.alternatives.empty()) extend(by, NID_subject_alt_name, what.alternatives.c_str());
        if (X509_sign(x509_.get(), issuer ? issuer->key_.get() : key_.get(), EVP_sha256()) == 0)
            throw std::runtime_error("OpenSSL signs no certificate");
    }
    [[nodiscard]] std::string pem() const {
        return text_of([this](BIO* out) { return PEM_write_bio_X509(out, x509_.get()); });
    }
    [[nodiscard]] std::string key_pem() const {
        return text_of([this](BIO* out) { return PEM_write_bio_PrivateKey(out, key_.get(), nullptr, nullptr, 0, nullptr, nullptr); });
    }
    void write(const std::string& certificate_file, const std::string& key_file) const {
        std::ofstream(certificate_file) << pem();
        std::ofstream(key_file) << key_pem();
    }

private:
    void extend(X509* issuer, int what, const char* value) {
        X509V3_CTX context;
        X509V3_set_ctx(&context, issuer, x509_.get(), nullptr, nullptr, 0);
        X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, &context, what, value);
        if (!e) throw std::runtime_error("OpenSSL makes no extension");
        X509_add_ext(x509_.get(), e, -1);
        X509_EXTENSION_free(e);
    }
    template <class F>
    static std::string text_of(F write) {
        const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
        if (!out || write(out.get()) != 1) throw std::runtime_error("OpenSSL writes no PEM");
        char* data = nullptr;
        const long n = BIO_get_mem_data(out.get(), &data);
        return {data, static_cast<std::size_t>(n)};
    }
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
    std::unique_ptr<X509, decltype(&X509_free)> x509_;
};

// An authority, made once per process.
inline const certificate& authority() {
    static const certificate made({.name = "hawser test authority", .alternatives = "", .is_authority = true});
    return made;
}

using context_ptr = std::shared_ptr<asio::ssl::context>;

inline context_ptr presenting(const certificate& c, asio::ssl::context::method method = asio::ssl::context::tls_server) {
    auto made = std::make_shared<asio::ssl::context>(method);
    made->use_certificate_chain(asio::buffer(c.pem()));
    made->use_private_key(asio::buffer(c.key_pem()), asio::ssl::context::pem);
    return made;
}
inline context_ptr trusting(const certificate& a, asio::ssl::context::method method = asio::ssl::context::tls_client) {
    auto made = std::make_shared<asio::ssl::context>(method);
    made->add_certificate_authority(asio::buffer(a.pem()));
    return made;
}
inline context_ptr server_context(const certificate_request& what = {}) { return presenting(certificate(what, &authority())); }

}  // namespace support
