//! In the making.

use tongdao_core::provider::{BuildInput, OptionFault, Provider, Registration};

pub(crate) const REGISTRATION: Registration = Registration { id: "alipay", name_zh: "", build };

fn build(_input: BuildInput<'_>) -> Result<Box<dyn Provider>, Vec<OptionFault>> {
    Err(Vec::new())
}
