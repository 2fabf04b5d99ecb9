// SPDX-License-Identifier: BSL-1.0
/// \file
/// A stream and the catalog of a SQLite store, as a socket and a listener use them.
#pragma once

#include <hawser/store/sqlite_core.hpp>
#include <hawser/store/store.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hawser::inline v0::detail {

/// Keeps the store alive; the last one ends its thread.
class sqlite_hold {
public:
    explicit sqlite_hold(const sqlite_options& o) : core_(std::make_shared<sqlite_core>(o)) {}
    sqlite_hold(const sqlite_hold&) = delete;
    sqlite_hold& operator=(const sqlite_hold&) = delete;
    ~sqlite_hold() { sqlite_core::finish(std::move(core_)); }
    sqlite_core* operator->() const noexcept { return core_.get(); }

private:
    std::shared_ptr<sqlite_core> core_;
};

/// What comes back for a stream.
struct sqlite_result {
    bool loaded = false;
    std::error_code error{};
    store_image image{};
};

/// A job of one stream whose result somebody waits for.
class sqlite_stream_job : public sqlite_job {
public:
    using mailbox = sqlite_mailbox<sqlite_result>;
    sqlite_stream_job(std::shared_ptr<mailbox> m, std::string name) : mailbox_(std::move(m)), name_(std::move(name)) {}
    [[nodiscard]] bool withdrawn() const noexcept override { return mailbox_->closed(); }

protected:
    void tell(sqlite_result r) noexcept { mailbox_->deliver_at_last(std::move(r)); }
    std::shared_ptr<mailbox> mailbox_;
    std::string name_;
};

class sqlite_load final : public sqlite_stream_job {
public:
    sqlite_load(std::shared_ptr<mailbox> m, std::string name, const session::origin_id& fresh)
        : sqlite_stream_job(std::move(m), std::move(name)), fresh_(fresh) {}
    void run(sqlite_session& s) override {
        image_ = sqlite_stream(s.rows(), name_).load(fresh_);
    }
    void done(std::error_code ec) noexcept override { tell({.loaded = true, .error = ec, .image = std::move(image_)}); }

private:
    session::origin_id fresh_;
    store_image image_;
};

class sqlite_commit final : public sqlite_stream_job {
public:
    sqlite_commit(std::shared_ptr<mailbox> m, std::string name, std::vector<session::record> records)
        : sqlite_stream_job(std::move(m), std::move(name)), records_(std::move(records)) {
        bool ends = false;
        for (const auto& r : records_) {
            ends = ends || r.kind == session::record_kind::epoch_ended;
            cost_ += sizeof r + r.body.footprint() + r.key.size() + r.state.size() + r.exceptions.size();
            may_refuse_ = may_refuse_ || r.kind == session::record_kind::accepted;
        }
        // The end of a session is always taken: it comes once, is small, and without it nobody could be told how far the session got.
        if (ends) cost_ = 0;
    }
    [[nodiscard]] std::size_t cost() const noexcept override { return cost_; }
    [[nodiscard]] bool may_refuse() const noexcept override { return may_refuse_; }
    void run(sqlite_session& s) override {
        s.apply(name_, records_);
    }
    void done(std::error_code ec) noexcept override { tell({.error = ec}); }

private:
    std::vector<session::record> records_;
    std::size_t cost_ = 0;
    bool may_refuse_ = false;
};

/// Removes a stream; nobody is told.
class sqlite_erase final : public sqlite_job {
public:
    explicit sqlite_erase(std::string name) : name_(std::move(name)) {}
    void run(sqlite_session& s) override { s.rows().erase(name_); }
    void done(std::error_code) noexcept override {}

private:
    std::string name_;
};

class sqlite_opened final : public opened_store, abandonable, sqlite_stream_job::mailbox::receiver {
public:
    sqlite_opened(driver& d, store_client& client, std::string name, std::shared_ptr<sqlite_hold> store)
        : driver_(d), client_(client), name_(std::move(name)), store_(std::move(store)),
          mailbox_(std::make_shared<sqlite_stream_job::mailbox>(d, static_cast<sqlite_stream_job::mailbox::receiver&>(*this))) {
        driver_.enlist(*this);
    }
    ~sqlite_opened() override {
        if (is_listed()) driver_.delist(*this);
        mailbox_->close();
        (*store_)->let_go(name_, this);
    }
    void load(const session::origin_id& fresh) override {
        start(std::make_unique<sqlite_load>(mailbox_, name_, fresh), true);
    }
    void commit(std::vector<session::record> records) override {
        start(std::make_unique<sqlite_commit>(mailbox_, name_, std::move(records)), false);
    }

private:
    void start(std::unique_ptr<sqlite_job> job, bool loading) {
        mailbox_->expect();
        const bool mine = (*store_)->claim(name_, this);
        if (const auto ec = mine ? (*store_)->submit(std::move(job)) : make_error_code(errc::locked)) mailbox_->deliver({.loaded = loading, .error = ec});
    }
    void abandon() noexcept override { mailbox_->close(); }
    void on_result(sqlite_result r) override {
        if (r.loaded) client_.on_loaded(r.error, std::move(r.image));
        else client_.on_committed(r.error);
    }

    driver& driver_;
    store_client& client_;
    std::string name_;
    std::shared_ptr<sqlite_hold> store_;
    std::shared_ptr<sqlite_stream_job::mailbox> mailbox_;
};

/// What comes back for a catalog.
struct sqlite_listing {
    std::error_code error{};
    std::vector<stored_session> sessions{};
};

class sqlite_list final : public sqlite_job {
public:
    using mailbox = sqlite_mailbox<sqlite_listing>;
    explicit sqlite_list(std::shared_ptr<mailbox> m) : mailbox_(std::move(m)) {}
    [[nodiscard]] bool withdrawn() const noexcept override { return mailbox_->closed(); }
    void run(sqlite_session& s) override { found_ = s.rows().list(session_stream_prefix); }
    void done(std::error_code ec) noexcept override { mailbox_->deliver_at_last({ec, std::move(found_)}); }

private:
    std::shared_ptr<mailbox> mailbox_;
    std::vector<stored_session> found_;
};

class sqlite_catalog final : public store_catalog, abandonable, sqlite_list::mailbox::receiver {
public:
    sqlite_catalog(driver& d, catalog_client& client, std::shared_ptr<sqlite_hold> store)
        : driver_(d), client_(client), store_(std::move(store)), mailbox_(std::make_shared<sqlite_list::mailbox>(d, static_cast<sqlite_list::mailbox::receiver&>(*this))) {
        driver_.enlist(*this);
    }
    ~sqlite_catalog() override {
        if (is_listed()) driver_.delist(*this);
        mailbox_->close();
    }
    void list() override {
        mailbox_->expect();
        (void)(*store_)->submit(std::make_unique<sqlite_list>(mailbox_));  // it costs nothing, so it is taken
    }
    void erase(std::string name) override {
        if (!(*store_)->claimed(name)) (void)(*store_)->submit(std::make_unique<sqlite_erase>(std::move(name)));
    }

private:
    void abandon() noexcept override { mailbox_->close(); }
    void on_result(sqlite_listing r) override { client_.on_listed(r.error, std::move(r.sessions)); }

    driver& driver_;
    catalog_client& client_;
    std::shared_ptr<sqlite_hold> store_;
    std::shared_ptr<sqlite_list::mailbox> mailbox_;
};

}  // namespace hawser::inline v0::detail
