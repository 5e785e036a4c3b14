//! Each way in which three books can differ, and the one way in which they agree.

use super::*;

fn taken(number: &str, amount: i64, returned: i64) -> Taken {
    Taken { channel: "wechat-main".into(), provider_order_no: number.into(), amount, returned }
}

fn attempt(number: &str, amount: i64, returned: i64) -> ClaimedAttempt {
    ClaimedAttempt { channel: "wechat-main".into(), provider_order_no: number.into(), amount, returned }
}

fn charge(order: &str, attempts: Vec<ClaimedAttempt>) -> Claimed {
    Claimed { merchant_order_no: order.into(), amount: 1999, attempts }
}

fn shipped(order: &str, times: u64) -> Shipped {
    Shipped { channel: "wechat-main".into(), merchant_order_no: order.into(), amount: 1999, times }
}

/// Two orders: one paid twice with its surplus back, one abandoned.
fn equal() -> Books {
    Books {
        providers: vec![taken("p1", 1999, 0), taken("p2", 1999, 1999)],
        daemon: vec![
            charge("o1", vec![attempt("p1", 1999, 0), attempt("p2", 1999, 1999)]),
            charge("o2", vec![attempt("p3", 0, 0)]),
        ],
        platform: vec![shipped("o1", 1)],
    }
}

fn said(books: &Books) -> Vec<String> {
    let sums = add_up(books);
    assert!(!sums.agree(), "{sums:?}");
    sums.differences.iter().map(ToString::to_string).collect()
}

#[test]
fn equal_books_agree_and_are_added_up_by_channel() {
    let sums = add_up(&equal());
    assert!(sums.agree(), "{sums:?}");
    let flowed = Flowed { payments: 2, taken: 3998, refunds: 1, returned: 1999 };
    let row = Row { channel: "wechat-main".into(), providers: flowed, daemon: flowed, shipments: 1, shipped: 1999 };
    assert_eq!(sums.rows, std::slice::from_ref(&row));
    assert_eq!(sums.total(), Row { channel: String::new(), ..row });
}

#[test]
fn a_paid_order_that_was_not_shipped_is_named() {
    let books = Books { platform: Vec::new(), ..equal() };
    assert_eq!(said(&books), ["o1: 已付款未发货 paid 1999 and not shipped"]);
}

#[test]
fn an_order_that_was_shipped_twice_is_named() {
    let books = Books { platform: vec![shipped("o1", 2)], ..equal() };
    assert_eq!(said(&books), ["o1: 重复发货 shipped 2 times"]);
}

#[test]
fn a_surplus_that_was_not_refunded_is_named() {
    let mut books = equal();
    books.providers = vec![taken("p1", 1999, 0), taken("p2", 1999, 0)];
    let said = said(&books);
    assert_eq!(
        said,
        ["o1 / p2: 退款不符 returned there 0, here 1999", "o1: 多收未退 1999 beyond the price was not refunded"]
    );
}

#[test]
fn a_payment_that_the_daemon_does_not_know_is_named() {
    let mut books = equal();
    books.providers.push(taken("p9", 500, 0));
    assert_eq!(said(&books), ["p9 (wechat-main): 渠道收款，本系统无此单 taken by the provider, unknown here: 500"]);
}

#[test]
fn a_payment_that_the_daemon_has_not_heard_of_is_named() {
    let mut books = equal();
    books.providers.push(taken("p3", 1999, 0));
    assert_eq!(
        said(&books),
        ["o2 / p3: 收款不符 paid there 1999, here 0", "o2: 已付款未发货 paid 1999 and not shipped"]
    );
}

#[test]
fn goods_for_money_that_went_back_or_never_came_are_named() {
    let mut books = equal();
    books.platform.push(shipped("o2", 1));
    assert_eq!(said(&books), ["o2: 未收款已发货 shipped 1999, but the providers kept 0"]);
    let mut books = equal();
    books.platform.push(shipped("o3", 1));
    assert_eq!(said(&books), ["o3: 未收款已发货 shipped 1999, but the providers kept 0"]);
}

#[test]
fn errors_that_cancel_out_in_the_sum_are_still_named() {
    let books = Books {
        providers: vec![taken("p1", 1999, 0), taken("p2", 1999, 0)],
        daemon: vec![charge("o1", vec![attempt("p1", 1999, 0)]), charge("o2", vec![attempt("p2", 1999, 0)])],
        platform: vec![shipped("o1", 2)],
    };
    assert_eq!(said(&books), ["o1: 重复发货 shipped 2 times", "o2: 已付款未发货 paid 1999 and not shipped"]);
}
