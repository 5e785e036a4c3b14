//! Who calls: the checks every request passes before its content is looked at (sections 0 and 2.1).
//! Order as probed on the live host: User-Agent and Accept, the Authorization header's form, its time, the merchant, the
//! certificate serial, the signature. Guards: the signature is checked over the raw target and the raw body.
//! Must not know: operations.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use serde_json::Value;

use super::refusal::Refusal;
use super::reply::{self, Mode, Seal};
use crate::faults::{Drawn, FaultKind, Operation, Scope};
use crate::keys::WechatpayKeys;
use crate::options::{ProviderName, WechatpayAccount};
use crate::serve;
use crate::world::World;

const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048 ";
const WINDOW_S: i64 = 300;

/// Endpoints differ in how they word a garbled Authorization and an unknown merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Transactions,
    Others,
}

/// A request from an established merchant.
pub(super) struct Admitted {
    world: Arc<World>,
    pub(super) account: WechatpayAccount,
    keys: Arc<WechatpayKeys>,
    pub(super) mode: Mode,
    pub(super) uri: Uri,
    pub(super) body: Vec<u8>,
    /// The host asked, as the caller wrote it.
    pub(super) host: String,
    request_id: String,
}

/// Checks a request, or answers it.
pub(super) async fn admit(
    world: &Arc<World>,
    family: Family,
    request: Request,
) -> Result<Admitted, Box<Response<Body>>> {
    let (head, body) = request.into_parts();
    let request_id = format!("08{:016X}{:08X}", world.dice.roll(), world.dice.below(1 << 32));
    let Some(body) = serve::body_of(body).await else {
        return Err(Box::new(Refusal::invalid_request("请求体过大").reply(&format!("{request_id}-268435462"))));
    };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let raw = Raw { method: head.method.as_str(), target, headers: &head.headers, body: &body };
    let host = raw.header(header::HOST);
    match establish(world, family, &raw) {
        Ok((account, keys, mode)) => Ok(Admitted {
            world: world.clone(),
            account,
            keys,
            mode,
            host: host.to_owned(),
            uri: head.uri,
            body,
            request_id,
        }),
        Err(refusal) => Err(Box::new(refusal.reply(&format!("{request_id}-268443699")))),
    }
}

impl Admitted {
    pub(super) fn world(&self) -> &Arc<World> {
        &self.world
    }

    pub(super) fn keys(&self) -> &WechatpayKeys {
        &self.keys
    }

    /// This merchant's place among the faults.
    pub(super) fn scope(&self, operation: Operation) -> Scope<'_> {
        Scope { provider: ProviderName::Wechatpay, account: &self.account.mch_id, operation }
    }

    /// Words an error.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Response<Body> {
        refusal.reply(&format!("{}-268435462", self.request_id))
    }

    /// Runs the work under the fault drawn for this merchant and operation, and words the answer.
    pub(super) async fn answer(
        &self,
        operation: Operation,
        work: impl FnOnce(&Drawn) -> Result<Option<Value>, Refusal>,
    ) -> Response<Body> {
        let scope = self.scope(operation);
        let refusal = |kind: FaultKind| {
            if kind == FaultKind::Accepted {
                return self.signed(StatusCode::ACCEPTED, String::new(), false);
            }
            Refusal::of_fault(kind).reply(&format!("{}-268447840", self.request_id))
        };
        let work = |drawn: &Drawn| match work(drawn) {
            Ok(Some(body)) => self.signed(StatusCode::OK, body.to_string(), drawn.is(FaultKind::BadSignature)),
            Ok(None) => self.signed(StatusCode::NO_CONTENT, String::new(), drawn.is(FaultKind::BadSignature)),
            Err(refusal) => self.refuse(&refusal),
        };
        serve::answer(&self.world, &scope, refusal, work).await
    }

    /// The JSON body, which must be an object of 1- to 3-byte characters without nulls.
    pub(super) fn json(&self) -> Result<Value, Refusal> {
        let body: Value = serde_json::from_slice(&self.body)
            .map_err(|_| Refusal::parameter("/body", &Value::Null, "请求体不是合法的JSON", "body"))?;
        super::fields::refuse_foreign(&body, "/body")?;
        Ok(body)
    }

    /// The parameters of the query, in order.
    pub(super) fn parameters(&self) -> Vec<(String, String)> {
        let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&self.uri);
        query.map(|query| query.0).unwrap_or_default()
    }

    /// The query must name this merchant and nothing else (section 1.2).
    pub(super) fn require_mchid_in_query(&self) -> Result<(), Refusal> {
        let query = self.parameters();
        if let Some((name, value)) = query.iter().find(|(name, _)| name != "mchid") {
            return Err(Refusal::parameter(
                &format!("/query/{name}"),
                &Value::from(value.as_str()),
                "未知参数",
                "query",
            ));
        }
        let value = query.first().map(|(_, value)| value.as_str());
        if value == Some(self.account.mch_id.as_str()) {
            return Ok(());
        }
        Err(Refusal::parameter(
            "/query/mchid",
            &Value::from(value.unwrap_or_default()),
            "商户号与签名的商户号不一致",
            "query",
        ))
    }

    fn signed(&self, status: StatusCode, body: String, probe: bool) -> Response<Body> {
        let now_s = self.world.now().div_euclid(1000);
        let mut seal =
            Seal::new(&self.world, self.mode.key(&self.keys), self.mode.serial(&self.keys), now_s, body.as_bytes());
        if probe {
            seal.probe(&self.world);
        }
        reply::signed(seal, status, body, &format!("{}-0", self.request_id))
    }
}

/// A request as it came over the wire.
struct Raw<'a> {
    method: &'a str,
    target: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

impl Raw<'_> {
    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

type Established = (WechatpayAccount, Arc<WechatpayKeys>, Mode);

fn establish(world: &World, family: Family, raw: &Raw<'_>) -> Result<Established, Refusal> {
    check_manners(raw)?;
    let garbled = match family {
        Family::Transactions => "签名信息错误，验签失败",
        Family::Others => "Authorization值格式错误",
    };
    let authorization =
        Authorization::read(raw.header(header::AUTHORIZATION)).ok_or_else(|| Refusal::sign_error(garbled))?;
    let timestamp_s: i64 = authorization.timestamp.parse().map_err(|_| Refusal::sign_error(garbled))?;
    let now_s = world.now().div_euclid(1000);
    if now_s.abs_diff(timestamp_s) > WINDOW_S.unsigned_abs() {
        return Err(Refusal::sign_error("Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"));
    }
    let unknown = match family {
        Family::Transactions => StatusCode::BAD_REQUEST,
        Family::Others => StatusCode::NOT_FOUND,
    };
    let account = world.accounts.wechatpay.iter().find(|account| account.mch_id == authorization.mchid);
    let (account, keys) = account
        .zip(world.keys.wechatpay(&authorization.mchid))
        .ok_or_else(|| Refusal::new(unknown, "MCH_NOT_EXISTS", "商户号不存在"))?;
    if authorization.serial_no != keys.merchant_serial {
        return Err(Refusal::sign_error("商户证书序列号有误"));
    }
    let mut message =
        format!("{}\n{}\n{}\n{}\n", raw.method, raw.target, authorization.timestamp, authorization.nonce_str)
            .into_bytes();
    message.extend_from_slice(raw.body);
    message.push(b'\n');
    if !keys.merchant.verifies_base64(&message, &authorization.signature) {
        return Err(Refusal::sign_error("签名错误"));
    }
    Ok((account.clone(), keys.clone(), mode_asked(keys, raw.header("Wechatpay-Serial"))?))
}

/// Missing User-Agent or Accept is refused before the signature is looked at (probe).
fn check_manners(raw: &Raw<'_>) -> Result<(), Refusal> {
    if raw.header(header::USER_AGENT).trim().is_empty() {
        return Err(Refusal::invalid_request("Http头缺少User-Agent"));
    }
    let accept = raw.header(header::ACCEPT);
    if !(accept.contains("application/json") || accept.contains("*/*")) {
        return Err(Refusal::invalid_request("Http头Accept须为application/json"));
    }
    if !raw.body.is_empty() && !raw.header(header::CONTENT_TYPE).starts_with("application/json") {
        return Err(Refusal::invalid_request("Http头Content-Type须为application/json"));
    }
    Ok(())
}

fn mode_asked(keys: &WechatpayKeys, serial: &str) -> Result<Mode, Refusal> {
    match serial {
        "" => Ok(Mode::Certificate),
        serial if serial == keys.platform_serial => Ok(Mode::Certificate),
        serial if serial == keys.public_key_id => Ok(Mode::PublicKey),
        _ => Err(Refusal::invalid_request("Http头Wechatpay-Serial有误")),
    }
}

/// The five values of the Authorization header, in any order, each exactly once.
#[derive(Debug, Default, PartialEq, Eq)]
struct Authorization {
    mchid: String,
    nonce_str: String,
    signature: String,
    timestamp: String,
    serial_no: String,
}

impl Authorization {
    fn read(header: &str) -> Option<Self> {
        let mut read = Self::default();
        for part in header.strip_prefix(SCHEME)?.split(',') {
            let (name, quoted) = part.split_once('=')?;
            let value = quoted.strip_prefix('"')?.strip_suffix('"')?;
            let place = match name {
                "mchid" => &mut read.mchid,
                "nonce_str" => &mut read.nonce_str,
                "signature" => &mut read.signature,
                "timestamp" => &mut read.timestamp,
                "serial_no" => &mut read.serial_no,
                _ => return None,
            };
            if !place.is_empty() || value.is_empty() {
                return None;
            }
            value.clone_into(place);
        }
        let all = [&read.mchid, &read.nonce_str, &read.signature, &read.timestamp, &read.serial_no];
        let complete = all.iter().all(|value| !value.is_empty());
        complete.then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_takes_any_order_but_no_gaps_repeats_or_spaces() {
        let good =
            r#"WECHATPAY2-SHA256-RSA2048 serial_no="AB",mchid="1",timestamp="2",nonce_str="n",signature="a+b/c==""#;
        assert_eq!(Authorization::read(good).unwrap().signature, "a+b/c==");
        for bad in [
            r#"WECHATPAY2-SHA256-RSA2048 serial_no="AB",mchid="1",timestamp="2",nonce_str="n""#,
            r#"WECHATPAY2-SHA256-RSA2048  serial_no="AB",mchid="1",timestamp="2",nonce_str="n",signature="s""#,
            r#"WECHATPAY2-SHA256-RSA2048 mchid="1",mchid="1",serial_no="AB",timestamp="2",nonce_str="n",signature="s""#,
            r#"WECHATPAY2-SHA256-RSA2048 mchid=1,serial_no="AB",timestamp="2",nonce_str="n",signature="s""#,
            r#"WECHATPAY2-SM2-WITH-SM3 mchid="1",serial_no="AB",timestamp="2",nonce_str="n",signature="s""#,
            "",
        ] {
            assert_eq!(Authorization::read(bad), None, "{bad}");
        }
    }
}
