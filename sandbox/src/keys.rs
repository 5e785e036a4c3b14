//! Real keys and certificates, made once under `keys_dir` and read again at each start.
//! The merchant's half is there for the merchant to configure, the provider's half for the servers to sign with; both
//! lie in one directory because the sandbox plays both registries. Guards: existing files are never rewritten; private
//! files have mode 0600. Must not know: what is signed.

mod certificate;
mod rsa;
mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use certificate::life_s as certificate_life_s;
use certificate::{Authority, Serial};
pub(crate) use rsa::{PublicKey, RsaKey};

use crate::options::Accounts;
use store::Folder;

/// Why keys could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file or directory could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file exists but holds no usable key or certificate.
    #[error("{path} holds no usable {what}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What was expected in it.
        what: &'static str,
    },
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A key could not be made.
    #[error("a key could not be made")]
    Generate,
}

/// All keys of one sandbox.
pub(crate) struct Keys {
    wechatpay: BTreeMap<String, Arc<WechatpayKeys>>,
    alipay: BTreeMap<String, AlipayKeys>,
    unionpay: BTreeMap<String, UnionpayKeys>,
    unionpay_platform: UnionpayPlatform,
    stranger: RsaKey,
}

/// One WeChat Pay merchant's registry entry.
pub(crate) struct WechatpayKeys {
    /// The key of the merchant certificate: verifies requests.
    pub(crate) merchant: PublicKey,
    /// Serial of the merchant certificate, hex upper.
    pub(crate) merchant_serial: String,
    /// 32 ASCII bytes.
    pub(crate) api_v3_key: String,
    /// Signs in certificate mode.
    pub(crate) platform: RsaKey,
    pub(crate) platform_cert_pem: String,
    /// Serial of the platform certificate, 40 hex upper.
    pub(crate) platform_serial: String,
    /// Signs in public-key mode.
    pub(crate) public_key: RsaKey,
    pub(crate) public_key_id: String,
}

/// One Alipay application's registry entry.
pub(crate) struct AlipayKeys {
    /// Verifies requests.
    pub(crate) app: PublicKey,
    /// Signs answers and notifies.
    pub(crate) alipay: RsaKey,
    pub(crate) app_cert_pem: String,
    pub(crate) alipay_cert_pem: String,
    pub(crate) root_cert_pem: String,
}

/// One UnionPay merchant's registry entry.
pub(crate) struct UnionpayKeys {
    /// The key of the merchant's signing certificate: verifies requests (signMethod 01).
    pub(crate) merchant: PublicKey,
    /// Serial of that certificate, decimal.
    pub(crate) cert_id: String,
    /// For signMethod 11 and 12.
    pub(crate) secure_key: String,
}

/// UnionPay's own signing certificate and its chain.
pub(crate) struct UnionpayPlatform {
    /// Signs answers and notifies.
    pub(crate) leaf: RsaKey,
    pub(crate) leaf_cert_pem: String,
}

impl Keys {
    /// Reads the keys of these accounts, making what is missing. Slow the first time: keys are real.
    pub(crate) fn open(keys_dir: &Path, accounts: &Accounts) -> Result<Self, KeysError> {
        let stranger = RsaKey::generate()?;
        let mut keys = Self {
            wechatpay: BTreeMap::new(),
            alipay: BTreeMap::new(),
            unionpay: BTreeMap::new(),
            unionpay_platform: unionpay_platform(&keys_dir.join("unionpay"))?,
            stranger,
        };
        for account in &accounts.wechatpay {
            let opened = keys.open_wechatpay(&keys_dir.join("wechatpay").join(&account.mch_id), &account.mch_id)?;
            keys.wechatpay.insert(account.mch_id.clone(), Arc::new(opened));
        }
        for account in &accounts.alipay {
            let opened = open_alipay(&keys_dir.join("alipay").join(&account.app_id), &account.app_id)?;
            keys.alipay.insert(account.app_id.clone(), opened);
        }
        for account in &accounts.unionpay {
            let opened = keys.open_unionpay(&keys_dir.join("unionpay").join(&account.mer_id), &account.mer_id)?;
            keys.unionpay.insert(account.mer_id.clone(), opened);
        }
        Ok(keys)
    }

    pub(crate) fn wechatpay(&self, mch_id: &str) -> Option<&Arc<WechatpayKeys>> {
        self.wechatpay.get(mch_id)
    }

    pub(crate) fn alipay(&self, app_id: &str) -> Option<&AlipayKeys> {
        self.alipay.get(app_id)
    }

    pub(crate) fn unionpay(&self, mer_id: &str) -> Option<&UnionpayKeys> {
        self.unionpay.get(mer_id)
    }

    pub(crate) fn unionpay_platform(&self) -> &UnionpayPlatform {
        &self.unionpay_platform
    }

    /// A key no merchant trusts, new at each start.
    pub(crate) fn stranger(&self) -> &RsaKey {
        &self.stranger
    }

    fn open_wechatpay(&self, dir: &Path, mch_id: &str) -> Result<WechatpayKeys, KeysError> {
        let folder = Folder::open(dir)?;
        let merchant = folder.rsa("merchant_key.pem")?;
        let platform = folder.rsa("platform_key.pem")?;
        let public_key = folder.rsa("public_key_private.pem")?;
        folder.text("public_key.pem", || Ok(public_key.public_pem()))?;
        let issuer = || Authority::root(&self.stranger, "Tenpay.com Root CA", "Tenpay.com");
        let merchant_cert = folder
            .text("merchant_cert.pem", || issuer()?.issue(&merchant, mch_id, "微信商户系统", &Serial::hex40()))?;
        let platform_cert = folder.text("platform_cert.pem", || {
            issuer()?.issue(&platform, "Tenpay.com sign", "Tenpay.com", &Serial::hex40())
        })?;
        let merchant_serial = certificate::serial_hex(&merchant_cert)
            .ok_or_else(|| folder.unusable("merchant_cert.pem", "certificate"))?;
        let merchant_serial = folder.text("merchant_serial", || Ok(merchant_serial))?;
        let id = folder.text("public_key_id", || Ok(format!("PUB_KEY_ID_01{}{}", mch_id, store::random_digits(20))))?;
        let api_v3_key = folder.secret("api_v3_key", || store::random_alphanumeric(32))?;
        if api_v3_key.len() != 32 {
            return Err(folder.unusable("api_v3_key", "32-byte key"));
        }
        Ok(WechatpayKeys {
            merchant: merchant.public(),
            merchant_serial,
            api_v3_key,
            platform,
            platform_serial: certificate::serial_hex(&platform_cert)
                .ok_or_else(|| folder.unusable("platform_cert.pem", "certificate"))?,
            platform_cert_pem: platform_cert,
            public_key,
            public_key_id: id,
        })
    }

    fn open_unionpay(&self, dir: &Path, mer_id: &str) -> Result<UnionpayKeys, KeysError> {
        let folder = Folder::open(dir)?;
        let signing = folder.secret_text("sign.pem", || {
            let key = RsaKey::generate()?;
            let issuer = Authority::root(&self.stranger, "CFCA TEST OCA1", "China Financial Certification Authority")?;
            let subject = format!("041@{mer_id}@{mer_id}@00000001");
            Ok(format!("{}{}", key.private_pem(), issuer.issue(&key, &subject, "CFCA TEST OCA1", &Serial::short())?))
        })?;
        let key = RsaKey::from_pem(&signing).ok_or_else(|| folder.unusable("sign.pem", "key"))?;
        let cert_id =
            certificate::serial_decimal(&signing).ok_or_else(|| folder.unusable("sign.pem", "certificate"))?;
        let secure_key = folder.secret("secure_key", || store::random_alphanumeric(32))?;
        Ok(UnionpayKeys { merchant: key.public(), cert_id, secure_key })
    }
}

fn open_alipay(dir: &Path, app_id: &str) -> Result<AlipayKeys, KeysError> {
    let folder = Folder::open(dir)?;
    let app = folder.rsa("app_key.pem")?;
    let alipay = folder.rsa("alipay_key.pem")?;
    folder.text("app_public_key.pem", || Ok(app.public_pem()))?;
    folder.text("alipay_public_key.pem", || Ok(alipay.public_pem()))?;
    if !folder.has("root_cert.crt") {
        let root = Authority::root(&RsaKey::generate()?, "Ant Financial Certification Authority R1", "Ant Financial")?;
        folder.text("app_cert.crt", || root.issue(&app, app_id, "Sandbox merchant", &Serial::hex32()))?;
        folder.text("alipay_cert.crt", || {
            root.issue(&alipay, "支付宝(中国)网络技术有限公司", "Ant Financial", &Serial::hex32())
        })?;
        folder.text("root_cert.crt", || Ok(root.cert_pem().to_owned()))?;
    }
    Ok(AlipayKeys {
        app: app.public(),
        alipay,
        app_cert_pem: folder.read("app_cert.crt")?,
        alipay_cert_pem: folder.read("alipay_cert.crt")?,
        root_cert_pem: folder.read("root_cert.crt")?,
    })
}

fn unionpay_platform(dir: &Path) -> Result<UnionpayPlatform, KeysError> {
    let folder = Folder::open(dir)?;
    let leaf = folder.rsa("leaf_key.pem")?;
    if !folder.has("leaf.pem") {
        let root = Authority::root(&RsaKey::generate()?, "CFCA TEST CS CA", "China Financial Certification Authority")?;
        let middle_key = RsaKey::generate()?;
        let middle = root.under(&middle_key, "CFCA TEST OCA1", "China Financial Certification Authority")?;
        folder.replace("root.cer", root.cert_pem())?;
        folder.replace("middle.cer", middle.cert_pem())?;
        folder.text("leaf.pem", || {
            middle.issue(&leaf, "041@sandbox@00040000:SIGN@00000001", "CFCA TEST OCA1", &Serial::short())
        })?;
    }
    Ok(UnionpayPlatform { leaf, leaf_cert_pem: folder.read("leaf.pem")? })
}

#[cfg(test)]
mod tests;
