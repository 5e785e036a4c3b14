//! What reading and checking a statement costs, beside the time that the `csv` crate takes to cut the same text into
//! cells: for a million lines of WeChat Pay's and fewer of the others'. Machines differ and ratios do not. Files are
//! written into a temporary folder; the process's greatest memory is printed, since it must not grow with a file.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::disallowed_methods)]

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _, Write};
use std::time::{Duration, Instant};
use tongdao_core::day::Day;
use tongdao_core::money::Money;
use tongdao_core::provider::{BuildInput, Environment, Provider, Seal, Secrets};
use tongdao_core::secret::{Secret, SecretSource};

const LINES: u64 = 1_000_000;
const FEW: u64 = 10_000;
const MIDDLE: u64 = 100_000;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let own = private_key();
    let wechatpay = account("wechatpay", &wechatpay_section(&own));
    let alipay = account("alipay", &alipay_section(&own));
    let unionpay = account("unionpay", &unionpay_section());
    let before = peak_kib();

    let (mut many, seal) = wechatpay_file(folder.path(), LINES);
    let (mut few, few_seal) = wechatpay_file(folder.path(), FEW);
    let ours = best(3, || read(&*wechatpay, &mut many, Some(&seal), LINES));
    let after = peak_kib();
    let cells = best(3, || csv_cells(&mut many));
    // As many lines in as long a run, so that both meet the same other work.
    let ours_few = best(3, || (0..LINES / FEW).for_each(|_| read(&*wechatpay, &mut few, Some(&few_seal), FEW)));
    let bytes = many.metadata().unwrap().len();
    println!("wechatpay, {LINES} lines, {} MB: {ours:.2?}; csv alone {cells:.2?}", bytes / 1_000_000);
    println!("  to csv: {:.2} (asked: at most 5)", ratio(ours, cells));
    let per_line = ratio(ours, ours_few);
    println!(
        "  per line {:.0?} ns, to the cost of one in {FEW}: {per_line:.2} (asked: at most 1.3)",
        nanos(ours, LINES)
    );
    println!("  greatest memory: {before} KiB before, {after} KiB after");

    let mut text = alipay_text(folder.path(), MIDDLE);
    let mut zip = alipay_file(folder.path(), &mut text);
    let ours = best(3, || read(&*alipay, &mut zip, None, MIDDLE));
    let cells = best(3, || csv_cells(&mut text));
    println!("alipay, {MIDDLE} lines in a ZIP: {ours:.2?}; csv alone, unpacked {cells:.2?}");
    println!(
        "  to csv: {:.2}; per line {:.0} ns; greatest memory {} KiB",
        ratio(ours, cells),
        nanos(ours, MIDDLE),
        peak_kib()
    );

    let mut packed = unionpay_file(folder.path(), MIDDLE);
    let ours = best(3, || read(&*unionpay, &mut packed, None, MIDDLE));
    println!("unionpay, {MIDDLE} records, packed twice: {ours:.2?}");
    println!("  per record {:.0} ns; greatest memory {} KiB", nanos(ours, MIDDLE), peak_kib());
}

fn read(provider: &dyn Provider, file: &mut File, seal: Option<&Seal>, wanted: u64) {
    let mut lines = 0;
    let totals = provider.read_statement_file(day(), file, seal, &mut |_| {
        lines += 1;
        Ok(())
    });
    let totals = totals.unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!((lines, totals.payments.count + totals.refunds.count), (wanted, wanted));
}

fn csv_cells(file: &mut File) {
    file.rewind().unwrap();
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).quoting(false).from_reader(BufReader::new(file));
    let mut record = csv::ByteRecord::new();
    let mut cells = 0;
    while reader.read_byte_record(&mut record).unwrap() {
        cells += record.len();
    }
    assert!(cells > 0);
}

/// The shortest of several runs, by the processor's time: other work on the machine would count in a long run and
/// not in a short one.
fn best(times: u32, mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let (start, processor) = (Instant::now(), processor_ns());
        work();
        let spent = processor_ns().zip(processor).and_then(|(end, start)| end.checked_sub(start));
        spent.map_or_else(|| start.elapsed(), Duration::from_nanos)
    };
    (0..times).map(once).min().unwrap()
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn nanos(time: Duration, lines: u64) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(u32::try_from(lines).unwrap())
}

/// What this thread has run, where the system says it.
fn processor_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().filter(|ns| *ns > 0)
}

/// `VmHWM`: the most that the process ever held.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

fn day() -> Day {
    "2026-12-01".parse().unwrap()
}

fn yuan(fen: u64) -> String {
    Money::cny(i64::try_from(fen).unwrap()).yuan()
}

fn opened(folder: &std::path::Path, name: &str) -> File {
    File::options().read(true).write(true).create(true).truncate(true).open(folder.join(name)).unwrap()
}

/// A statement with a refund in every tenth row, and its seal.
fn wechatpay_file(folder: &std::path::Path, rows: u64) -> (File, Seal) {
    let file = opened(folder, &format!("wechatpay-{rows}.csv"));
    let mut hashed = Hashed { inner: BufWriter::new(file), context: Context::new(&SHA1_FOR_LEGACY_USE_ONLY) };
    let out = &mut hashed;
    write!(out, "\u{feff}交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n").unwrap();
    let (mut paid, mut refunded) = (0, 0);
    for n in 0..rows {
        let (second, fen) = (n % 86_400, 100 + n % 9_999);
        let at = format!("2026-12-01 {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
        let who =
            format!("wx5a2d0c4e1f8b7a63,`1900000001,`0,`,`42000000002026120{n:011},`01KCQ{n:021},`oUpF8uMuAJO{n:08}");
        if n % 10 == 9 {
            refunded += fen;
            write!(out, "`{at},`{who},`NATIVE,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`503000{n:022},`R1KCQ{n:027},`{0},`0.00,`ORIGINAL,`SUCCESS,`充值卡\\ 月卡,`,`-0.01000,`0.60%,`0.00,`{0},`\r\n", yuan(fen)).unwrap();
        } else {
            paid += fen;
            write!(out, "`{at},`{who},`NATIVE,`SUCCESS,`OTHERS,`CNY,`{0},`0.00,`0,`0,`0.00,`0.00,`,`,`充值卡\\ 月卡,`,`0.01000,`0.60%,`{0},`0.00,`\r\n", yuan(fen)).unwrap();
        }
    }
    let fee = yuan(rows - rows / 10 * 2);
    let (paid, refunded) = (yuan(paid), yuan(refunded));
    write!(out, "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n`{rows}.0,`{paid},`{refunded},`0.0,`{fee},`{paid},`{refunded}\r\n").unwrap();
    let Hashed { inner, context } = hashed;
    (
        inner.into_inner().unwrap(),
        Seal::Sha1(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()),
    )
}

struct Hashed<W> {
    inner: W,
    context: Context,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.context.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

fn alipay_text(folder: &std::path::Path, rows: u64) -> File {
    let mut file = opened(folder, "alipay.csv");
    let mut out = BufWriter::new(&mut file);
    let mut put = |text: &str| out.write_all(&encoding_rs::GBK.encode(text).0).unwrap();
    put(
        "#支付宝业务明细查询\r\n#账号：[20880000000000010156]\r\n#起始日期：[2026年12月01日 00:00:00]   终止日期：[2026年12月02日 00:00:00]\r\n#--业务明细列表--\r\n支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注\r\n",
    );
    let mut paid = 0;
    for n in 0..rows {
        let fen = 100 + n % 9_999;
        paid += fen;
        put(&format!(
            "20261201220014{n:014}\t,01KCQ{n:021}\t,交易\t,充值卡 月卡,2026-12-01 10:00:00,2026-12-01 10:00:09,\t,\t,\t,\t,*津水(602***@qq.com)\t,{0},{0},0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,\t,-0.01,0.00,充值卡 月卡\r\n",
            yuan(fen)
        ));
    }
    put(&format!(
        "#--业务明细列表结束--\r\n#交易合计：{rows}笔，商家实收共{}元，商家优惠共0.00元\r\n#退款合计：0笔，商家实收退款共0.00元，商家优惠退款共0.00元\r\n",
        yuan(paid)
    ));
    drop(out);
    file
}

fn alipay_file(folder: &std::path::Path, text: &mut File) -> File {
    text.rewind().unwrap();
    let mut zip = zip::ZipWriter::new(opened(folder, "alipay.zip"));
    zip.start_file("20880000000000010156_20261201_业务明细.csv", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::copy(text, &mut zip).unwrap();
    zip.finish().unwrap()
}

fn unionpay_file(folder: &std::path::Path, rows: u64) -> File {
    const WIDTHS: [usize; 41] = [
        3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1, 15, 32,
        13, 13, 8, 32, 13, 13, 12, 2, 1, 131,
    ];
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("INN26120188ZM_777290058110048", zip::write::SimpleFileOptions::default()).unwrap();
    for n in 0..rows {
        let fen = 100 + n % 9_999;
        let (amount, query_id, order_no) =
            (format!("{fen:012}"), format!("5126120112{n:011}"), format!("01KCQ{n:021}"));
        let (fee, net) = ("D000000000001".to_owned(), format!("C{:012}", fen - 1));
        let fields = WIDTHS.iter().enumerate().map(|(place, width)| {
            let value = match place + 1 {
                1 => "S22",
                5 => "1201120005",
                7 => &amount,
                10 => &query_id,
                12 => &order_no,
                16 => &fee,
                17 => &net,
                20 => "01",
                28 => "777290058110048",
                _ => "",
            };
            format!("{value:<width$}")
        });
        write!(zip, "{}\r\n", fields.collect::<Vec<_>>().join(" ")).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    let mut encoder = flate2::write::ZlibEncoder::new(opened(folder, "unionpay.zlib"), flate2::Compression::fast());
    encoder.write_all(&bytes).unwrap();
    encoder.finish().unwrap()
}

struct Inline;

impl Secrets for Inline {
    fn load(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::Inline(text) => Ok(Secret::new(text.clone().into_bytes())),
            SecretSource::File(_) | SecretSource::Env(_) => Err("the bench keeps its secrets inline".to_owned()),
        }
    }
}

fn account(provider: &str, section: &serde_json::Value) -> Box<dyn Provider> {
    let registration = tongdao_providers::REGISTRY.iter().find(|entry| entry.id == provider).unwrap();
    let input = BuildInput { section, environment: Environment::Sandbox, secrets: &Inline };
    (registration.build)(input).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// Our private key, and a public key that is another's.
fn private_key() -> [String; 2] {
    let [own, theirs] = [KeyPair::generate(KeySize::Rsa2048).unwrap(), KeyPair::generate(KeySize::Rsa2048).unwrap()];
    let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = own.as_der().unwrap();
    let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> = theirs.public_key().as_der().unwrap();
    [STANDARD.encode(private.as_ref()), STANDARD.encode(public.as_ref())]
}

fn wechatpay_section([own, theirs]: &[String; 2]) -> serde_json::Value {
    serde_json::json!({
        "base_url": "http://127.0.0.1:9", "app_id": "wx5a2d0c4e1f8b7a63", "mch_id": "1900000001",
        "merchant_serial": "0123456789ABCDEF0123456789ABCDEF01234567", "merchant_private_key": own,
        "api_v3_key": "0123456789abcdef0123456789abcdef", "public_key": theirs,
        "public_key_id": "PUB_KEY_ID_0000000000000024101100397200000006",
    })
}

fn alipay_section([own, theirs]: &[String; 2]) -> serde_json::Value {
    serde_json::json!({
        "gateway_url": "http://127.0.0.1:9/gateway.do", "app_id": "2021000000000001", "seller_id": "2088000000000001",
        "app_private_key": own, "alipay_public_key": theirs,
    })
}

fn unionpay_section() -> serde_json::Value {
    serde_json::json!({
        "front_url": "http://127.0.0.1:9/f", "app_url": "http://127.0.0.1:9/a", "back_url": "http://127.0.0.1:9/b",
        "query_url": "http://127.0.0.1:9/q", "file_url": "http://127.0.0.1:9/", "mer_id": "777290058110048",
        "sign_method": "11", "secure_key": "a key of this bench only",
    })
}
