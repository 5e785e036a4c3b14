//! x
mod answer;
mod biz;
mod md5;
mod request;
mod sign;
